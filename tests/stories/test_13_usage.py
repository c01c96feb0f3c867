"""A provider that tells in its answers what is left: Bybit's fields, over sockets.

`X-Bapi-Limit` is the limit's size, `X-Bapi-Limit-Status` what remains of it, and
`X-Bapi-Limit-Reset-Timestamp` (ms) when it is whole again. A refusal is a 200 with `retCode` 10006.
"""

from pathlib import Path
from typing import Any

from proxy import clock
from tests.stories.origin import Origin, answer, origin
from tests.stories.stage import Stage, written

TICKERS = "/v5/market/tickers?category=spot&symbol="
LEFT = {"limit": "second", "header": "X-Bapi-Limit-Status", "means": "remaining"}
BYBIT: dict[str, Any] = {
    "name": "bybit",
    "limits": {"second": {"limit": 50, "per": "60s"}},
    "usage": [
        LEFT | {"reset_header": "X-Bapi-Limit-Reset-Timestamp", "reset_unit": "epoch_ms"},
        {"limit": "second", "header": "X-Bapi-Limit", "means": "limit"},
    ],
    "body_checks": [{"path": "retCode", "values": [10006]}],
    "max_wait": 0,
    "endpoints": {"tickers": {"path": "/v5/market/tickers", "ttl": "60s"}},
}


def said(left: int, *more: str, body: str = '{"retCode":0,"result":{}}') -> bytes:
    """Return an answer that says what is left of 20."""
    fields = (f"X-Bapi-Limit-Status: {left}", "X-Bapi-Limit: 20", *more)
    return answer(body, "Content-Type: application/json", *fields)


def bybit(folder: Path, provider: Origin) -> Path:
    """Write a configuration in which a provider is declared like Bybit."""
    return written(folder, BYBIT | {"base_url": f"http://127.0.0.1:{provider.port}"})


async def test_what_others_spend_is_seen_and_left_alone(stage: Stage, tmp_path: Path) -> None:
    """Fifty are configured; the provider says 20, and that 5 are left after our one call."""
    async with origin() as provider:
        proxy = await stage.proxy(bybit(tmp_path, provider))
        for number in range(8):
            provider.line_up(f"{TICKERS}S{number}", said(5 - number))
        first = await proxy.get(f"/bybit{TICKERS}S0")
        known = await proxy.quota("bybit", "second")
        others = [await proxy.get(f"/bybit{TICKERS}S{number}") for number in range(1, 8)]

        assert (200, 20, 15) == (first.status, known["limit"], known["used"])
        assert 429 in {each.status for each in others}
        assert 1 <= len([each for each in others if each.status == 200]) <= 5
        assert len(provider.asked) <= 6
        assert "X-Bapi-Limit-Reset-Timestamp" not in first.headers


async def test_a_refusal_hidden_in_a_200_lasts_until_the_reset(
    stage: Stage, tmp_path: Path
) -> None:
    """Nothing is left, and it says until when: nobody asks before, and clients are told so."""
    async with origin() as provider:
        proxy = await stage.proxy(bybit(tmp_path, provider))
        reset = f"X-Bapi-Limit-Reset-Timestamp: {(clock.wall() + 40) * 1000:.0f}"
        refusal = said(0, reset, body='{"retCode":10006,"retMsg":"Too many visits!"}')
        provider.line_up(f"{TICKERS}S0", refusal)
        provider.line_up(f"{TICKERS}S1", said(19))
        await proxy.get(f"/bybit{TICKERS}S0")
        held = await proxy.get(f"/bybit{TICKERS}S1")

        assert (429, "REFUSED") == (held.status, held.verdict)
        assert 30 <= int(held.headers["Retry-After"]) <= 41
        assert len(provider.asked) == 1
