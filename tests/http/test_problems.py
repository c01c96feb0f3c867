"""Problem details that SDKs understand."""

import json
from typing import Any

import ccxt
import pytest
import requests
from binance.client import Client as BinanceClient
from binance.exceptions import BinanceAPIException
from pycoingecko import CoinGeckoAPI

from proxy.answer import Problem
from proxy.http.problems import problem_body, rfc3339

QUOTA = Problem(
    429,
    "Quota exhausted",
    "coingecko.month is used up",
    "quota-exhausted",
    upstream="coingecko",
    limit="month",
    retry_after=86400.5,
    resets_in=86400.0,
)


def body(sdk: str = "", status: int = 429, **more: Any) -> dict[str, Any]:
    given = {"detail": "said", "kind": "k", "title": "t"} | more
    return json.loads(problem_body(Problem(status=status, sdk=sdk, **given), 0.0))


def test_members_of_rfc_9457_and_the_contract() -> None:
    """type, title, status and detail; upstream, limit and when it is over, in UTC."""
    assert json.loads(problem_body(QUOTA, 784111777.0)) == {
        "type": "urn:quota-proxy:problem:quota-exhausted",
        "title": "Quota exhausted",
        "status": 429,
        "detail": "coingecko.month is used up",
        "upstream": "coingecko",
        "limit": "month",
        "retry_after": 86401,
        "resets_at": "1994-11-07T08:49:37Z",
    }


def test_what_is_not_known_is_left_out() -> None:
    """A problem without an upstream, a limit or a wait has no members for them."""
    assert set(body()) == {"type", "title", "status", "detail"}


def test_further_members_stand_beside() -> None:
    """`sent` and `outcome` of a private request, `upstreams` of a 404; SDK members never win."""
    said = body("binance", members=(("sent", True), ("outcome", "unknown"), ("code", -1)))
    assert (said["sent"], said["outcome"], said["code"]) == (True, "unknown", -1)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, "1970-01-01T00:00:00Z"),
        (0.001, "1970-01-01T00:00:01Z"),
        (1e30, "9999-12-31T23:59:59Z"),
        (float("inf"), "9999-12-31T23:59:59Z"),
    ],
)
def test_rfc3339(at: float, text: str) -> None:
    """Whole seconds, never too early; a time beyond the calendar is its end."""
    assert rfc3339(at) == text


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, ccxt.DDoSProtection),
        (418, ccxt.DDoSProtection),
        (502, ccxt.RequestTimeout),
        (503, ccxt.RequestTimeout),
        (504, ccxt.RequestTimeout),
        (400, ccxt.BadRequest),
        (403, ccxt.AuthenticationError),
    ],
)
def test_ccxt_raises_its_own(status: int, error: type[Exception]) -> None:
    """Ccxt's binance maps status and code; what a bot should retry is a NetworkError."""
    said = body("binance", status)
    exchange = ccxt.binance()
    with pytest.raises(error) as met:
        exchange.handle_errors(
            status,
            "r",
            "https://api.binance.com/api/v3/x",
            "GET",
            {},
            json.dumps(said),
            said,
            {},
            "",
        )
    assert issubclass(met.type, ccxt.NetworkError) == (status in {418, 429, 502, 503, 504})


def response(status: int, content: dict[str, Any]) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = json.dumps(content).encode()
    return made


def test_python_binance_raises_its_own() -> None:
    """BinanceAPIException takes `code` and `msg`."""
    with pytest.raises(BinanceAPIException) as met:
        BinanceClient._handle_response(response(429, body("binance")))
    assert (met.value.code, met.value.message, met.value.status_code) == (-1003, "said", 429)


def test_pycoingecko_raises_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pycoingecko raises ValueError with the JSON of the error."""
    api = CoinGeckoAPI()
    said = body("coingecko")
    monkeypatch.setattr(api.session, "get", lambda *_, **__: response(429, said))
    with pytest.raises(ValueError, match="error_code"):
        api.ping()
    assert said["error"]["status"] == {"error_code": 429, "error_message": "said"}


@pytest.mark.parametrize(
    ("limit", "code"), [("minute", 1008), ("day", 1009), ("month", 1010), ("", 1008)]
)
def test_coinmarketcap_codes(limit: str, code: int) -> None:
    """CoinMarketCap tells by the code which of its limits is used up."""
    assert body("coinmarketcap", limit=limit)["error"]["status"]["error_code"] == code
    assert body("coinmarketcap", 502)["error"]["status"]["error_code"] == 502
