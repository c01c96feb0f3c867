"""Providers that say "too much" in ways of their own, over sockets: what all of them do is stop.

Bybit: 403 "access too frequent", ten minutes. OKX: `code` 50011 in a 200, with the shipped file.
"""

from pathlib import Path
from typing import Any

from proxy import clock
from tests.stories.origin import answer, origin
from tests.stories.stage import Stage, written

FREQUENT: dict[str, Any] = {
    "name": "bybit",
    "limits": {"second": {"limit": 50, "per": "60s"}},
    "hold": {"blocks": [{"status": 403, "contains": "access too frequent", "hold": "10m"}]},
    "max_wait": 0,
    "endpoints": {"time": {"path": "/v5/market/{name}", "ttl": "60s"}},
}
JSON = "Content-Type: application/json"
OKX = "/api/v5/market/ticker?instId="


async def test_a_403_that_says_so_holds_for_ten_minutes(stage: Stage, tmp_path: Path) -> None:
    """Nobody asks meanwhile; what is stored goes on being served; another 403 holds nobody."""
    async with origin() as provider:
        file = written(tmp_path, FREQUENT | {"base_url": f"http://127.0.0.1:{provider.port}"})
        proxy = await stage.proxy(file)
        provider.line_up("/v5/market/kept", answer('{"kept":1}', JSON))
        forbidden = answer("forbidden", "Content-Type: text/plain", status="403 Forbidden")
        provider.line_up("/v5/market/other", forbidden)
        too_often = answer(
            "Access too frequent", "Content-Type: text/plain", status="403 Forbidden"
        )
        provider.line_up("/v5/market/often", too_often)
        firsts = [
            (await proxy.get(f"/bybit/v5/market/{name}")).status
            for name in ("kept", "other", "often")
        ]
        held = await proxy.get("/bybit/v5/market/more")
        kept = await proxy.get("/bybit/v5/market/kept")
        quota = (await proxy.get_admin("/api/v1/quota")).json()["upstreams"]["bybit"]

        assert [200, 403, 403] == firsts
        assert (429, "REFUSED") == (held.status, held.verdict)
        assert (200, "HIT") == (kept.status, kept.verdict)
        assert 590 <= held.json()["retry_after"] <= 601
        assert quota["blocked_until"] is not None
        assert len(provider.asked) == 3


async def test_50011_in_a_200_stops_okx(stage: Stage, tmp_path: Path) -> None:
    """By the shipped file: it is no answer, nothing of it is stored, and a hold begins."""
    async with origin() as provider:
        proxy = await stage.proxy(OKX_BASE_URL=f"http://127.0.0.1:{provider.port}")
        for symbol in ("BTC-USDT", "ETH-USDT"):
            refusal = '{"code":"50011","msg":"Too Many Requests","data":[]}'
            provider.line_up(f"{OKX}{symbol}", answer(refusal, JSON))
        refused = await proxy.get(f"/okx{OKX}BTC-USDT")
        other = await proxy.get(f"/okx{OKX}ETH-USDT")
        quota = (await proxy.get_admin("/api/v1/quota")).json()["upstreams"]["okx"]

        assert (200, "MISS") == (refused.status, refused.verdict)
        assert (429, "REFUSED") == (other.status, other.verdict)
        assert int(refused.headers["Retry-After"]) >= 1
        assert quota["blocked_until"] is not None
        assert len(provider.asked) == 1


def told(**usage: str) -> dict[str, Any]:
    """Return a provider of fifty a minute that tells in a field what remains."""
    return {
        "name": "up",
        "limits": {"minute": {"limit": 50, "per": "60s"}},
        "usage": [{"limit": "minute", "means": "remaining", **usage}],
        "endpoints": {"any": {"path": "/v1/{name}", "ttl": "60s"}},
    }


async def _seen(stage: Stage, folder: Path, usage: dict[str, str], *fields: str) -> Any:
    """Return what is used of the minute after one answer with such fields."""
    async with origin() as provider:
        upstream = told(**usage) | {"base_url": f"http://127.0.0.1:{provider.port}"}
        proxy = await stage.proxy(written(folder, upstream))
        provider.line_up("/v1/one", answer("{}", JSON, *fields))
        await proxy.get("/up/v1/one")
        return (await proxy.quota("up", "minute"))["used"]


async def test_x_ratelimit_with_a_reset_in_epoch_seconds(stage: Stage, tmp_path: Path) -> None:
    """Twenty remain of fifty: another program on the address spent 29."""
    usage = {"header": "x-ratelimit-remaining", "reset_header": "x-ratelimit-reset"}
    reset = f"x-ratelimit-reset: {clock.wall() + 30:.0f}"

    assert 30 == await _seen(stage, tmp_path, usage, "x-ratelimit-remaining: 20", reset)


async def test_the_ietf_field_in_its_present_form(stage: Stage, tmp_path: Path) -> None:
    """Of several policies that of the limit's name."""
    usage = {"header": "RateLimit", "reset_header": "RateLimit"}
    field = 'RateLimit: "day";r=7;t=900, "minute";r=20;t=30'

    assert 30 == await _seen(stage, tmp_path, usage, field)


async def test_the_ietf_field_in_its_form_before(stage: Stage, tmp_path: Path) -> None:
    """As drafts before the eighth wrote it."""
    usage = {"header": "RateLimit", "reset_header": "RateLimit"}
    field = "RateLimit: limit=50, remaining=20, reset=30"

    assert 30 == await _seen(stage, tmp_path, usage, field)


async def test_the_ietf_fields_of_the_first_drafts(stage: Stage, tmp_path: Path) -> None:
    """A field for each figure, the reset in seconds."""
    usage = {
        "header": "RateLimit-Remaining",
        "reset_header": "RateLimit-Reset",
        "reset_unit": "seconds",
    }

    assert 30 == await _seen(
        stage, tmp_path, usage, "RateLimit-Remaining: 20", "RateLimit-Reset: 30"
    )


async def test_a_figure_that_lies_lowers_nothing(stage: Stage, tmp_path: Path) -> None:
    """Negative, or more than there is: what was sent stays counted."""
    usage = {"header": "x-ratelimit-remaining"}

    assert 1 == await _seen(stage, tmp_path, usage, "x-ratelimit-remaining: -5")
