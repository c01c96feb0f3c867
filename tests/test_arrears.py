"""What was spent before we came."""

from collections.abc import AsyncIterator

import pytest

from proxy.answer import Answer
from proxy.arrears import caught_up
from proxy.core.model import Request
from proxy.core.spending import Level
from proxy.core.upstreams import UsageFrom
from tests.house import House, Response, endpoint, upstream
from tests.values import replace

KEY = UsageFrom("/key", "usage.calls", "minute")


class Counts:
    def __init__(self, used: float) -> None:
        self.used = used
        self.told: list[tuple[str, str, float]] = []

    async def snapshot(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, self.used, 60.0),)

    async def set_used(self, upstream: str, bucket: str, used: float) -> bool:
        self.told.append((upstream, bucket, used))
        return True


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(upstream(endpoint("key", "/key", live=True, ttl=0.0), usage_from=KEY))
    yield built
    await built.close()


async def counted(house: House, counts: Counts, body: bytes, status: int = 200) -> float | None:
    async def ask(request: Request) -> Answer:
        return await house.flow.serve(request, None)

    house.provider.answers[0] = Response(status, (body,))
    return await caught_up(house.flow.routes.upstreams["coingecko"], ask, counts)


async def test_what_the_provider_says_is_counted(house: House) -> None:
    """A figure above our own becomes ours; the question was paid for."""
    counts = Counts(used=1)

    assert await counted(house, counts, b'{"usage":{"calls":21}}') == 21
    assert counts.told == [("coingecko", "minute", 21.0)]
    assert len(house.ledger.spent) == 1


async def test_never_downwards(house: House) -> None:
    """A provider that counts late gives no token twice."""
    counts = Counts(used=25)

    assert await counted(house, counts, b'{"usage":{"calls":21}}') == 21
    assert counts.told == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"usage":{"calls":-1}}', 200),
        (b'{"usage":{"calls":"many"}}', 200),
        (b'{"usage":{"calls":true}}', 200),
        (b"{}", 200),
        (b"not json", 200),
        (b'{"usage":{"calls":21}}', 403),
    ],
)
async def test_what_makes_no_sense_changes_nothing(house: House, body: bytes, status: int) -> None:
    """A lie, a refusal or garbage leaves the count as the ledger has it."""
    counts = Counts(used=1)

    assert await counted(house, counts, body, status) is None
    assert counts.told == []


async def test_nobody_is_asked_where_nothing_is_declared(house: House) -> None:
    """Without `usage_from`, or without a key, no call is made."""
    plain = replace(upstream(), usage_from=None)

    async def ask(_request: Request) -> Answer:
        raise AssertionError("nobody is asked")

    assert await caught_up(plain, ask, Counts(0)) is None
    assert (
        await caught_up(replace(plain, usage_from=KEY, disabled="no key"), ask, Counts(0)) is None
    )
