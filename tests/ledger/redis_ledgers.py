"""Ledgers in Redis, as tests open them."""

from proxy.backends.redis import Redis
from proxy.core.spending import Bill, Charge, Settled
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit
from proxy.ledger.redis import RedisLedger
from tests.fixtures.redis import patient

DAY = Limit("day", 50, CalendarUnit.DAY, Algorithm.FIXED_WINDOW)
BILL = Bill("up", (Charge(DAY, "day", 1),), 8.0)
LIMITS = {"up": (DAY,)}
ANSWERED = Settled(sent=True, answered=True, status=200)


async def opened(url: str, **settings: float) -> tuple[RedisLedger, Redis]:
    redis = Redis(patient(url))
    await redis.open()
    ledger = RedisLedger(redis, LIMITS, **settings)  # type: ignore[arg-type]
    return ledger, redis
