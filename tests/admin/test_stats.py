"""/api/v1/stats."""

from proxy.admin.stats import BUSIEST, stats
from proxy.core.model import Verdict
from proxy.observation import CallObservation, Observation
from tests.admin.house import WrittenHouse


def seen() -> WrittenHouse:
    house = WrittenHouse()
    for verdict in (Verdict.MISS, Verdict.HIT, Verdict.HIT, Verdict.HIT, Verdict.REFUSED):
        house.observations.observe(Observation("coingecko", "price", verdict, 0.1, client="grid"))
    house.observations.observe(Observation("", "", Verdict.REFUSED, 0.1, reason="no-such-upstream"))
    house.observations.observe_call(
        CallObservation("coingecko", "price", 0.1, 200, cost=2.0, client="grid")
    )
    return house


async def test_the_whole_account() -> None:
    """Refused requests count as requests, and not against the hit ratio."""
    shown = await stats(seen().house)

    assert (6, 1, 3) == (shown["requests"], shown["upstream_calls"], shown["calls_saved"])
    assert {"HIT": 3, "MISS": 1, "REFUSED": 2, "STALE": 0}.items() <= shown["verdicts"].items()
    assert 0.75 == shown["hit_ratio"]
    assert ("redis", 3) == (shown["store"]["kind"], shown["store"]["keys"])


async def test_by_upstream_and_endpoint_and_client() -> None:
    """What met no upstream is in the whole alone."""
    shown = await stats(seen().house)

    assert ["coingecko"] == list(shown["upstreams"])
    coingecko = shown["upstreams"]["coingecko"]
    assert (5, 3) == (coingecko["requests"], coingecko["calls_saved"])
    assert (5, 1) == tuple(
        coingecko["endpoints"]["price"][name] for name in ("requests", "upstream_calls")
    )
    assert 5 == shown["clients"]["grid"]["requests"]
    assert {"coingecko": 2.0} == shown["clients"]["grid"]["spent"]


async def test_before_anything_happened() -> None:
    """Configured upstreams are shown; a ratio of nothing is null."""
    shown = await stats(WrittenHouse().house)

    assert (0, None) == (shown["requests"], shown["hit_ratio"])
    assert 0 == shown["upstreams"]["coingecko"]["requests"]


async def test_the_busiest_unmatched_paths_come_first() -> None:
    """And only so many."""
    house = WrittenHouse()
    for number in range(30):
        for _ in range(number):
            house.observations.observe(
                Observation("coingecko", "", Verdict.BYPASS, 0.1, unmatched=f"/{number}")
            )

    shown = (await stats(house.house))["unmatched"]

    assert BUSIEST == len(shown)
    assert {"upstream": "coingecko", "path": "/29", "requests": 29} == shown[0]
