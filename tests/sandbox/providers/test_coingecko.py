"""CoinGecko, simulated: prices, markets, head fields, limits."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers import coingecko
from proxy.sandbox.providers.catalogue import PROVIDERS

V3 = "/api/v3"
PRICE = f"{V3}/simple/price?vs_currencies=usd"


def test_prices_are_keyed_by_id_in_the_providers_order(answer: Callable[..., Any]) -> None:
    """Unknown ids are absent; the order is by id, whatever the caller wrote."""
    found = answer("coingecko", f"{PRICE}&ids=ethereum,nosuch,bitcoin,dai")

    assert list(found) == ["bitcoin", "dai", "ethereum"]
    assert answer("coingecko", f"{PRICE}&ids=nosuch") == {}


def test_members_of_a_list_are_byte_for_byte_what_they_are_alone(
    reply: Callable[..., Reply],
) -> None:
    """A list is its members, joined."""
    alone = [reply("coingecko", f"{PRICE}&ids={name}").body[1:-1] for name in ("bitcoin", "dai")]

    assert reply("coingecko", f"{PRICE}&ids=dai,bitcoin").body == b"{" + b",".join(alone) + b"}"


def test_figures_that_are_asked_for_are_included(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Each flag adds a member for each currency, in their order."""
    flags = "&".join(
        f"include_{name}=true"
        for name in ("market_cap", "24hr_vol", "24hr_change", "last_updated_at")
    )
    found = answer("coingecko", f"{PRICE},eur&ids=bitcoin&{flags}")["bitcoin"]

    each = ("", "_market_cap", "_24h_vol", "_24h_change")
    expected = [f"{name}{tail}" for name in ("usd", "eur") for tail in each]
    assert list(found) == [*expected, "last_updated_at"]
    assert set(shape(found).values()) == {"number"}


@pytest.mark.parametrize(
    ("platform", "asked", "known"),
    [
        ("ethereum", "0x2260FAC5E5542A773AA44FBCFEDF7C193BC2C599", True),
        ("ethereum", "0x2260fac5e5542a773aa44fbcfedf7c193bc2c599", True),
        ("solana", "So11111111111111111111111111111111111111112", True),
        ("solana", "so11111111111111111111111111111111111111112", False),
    ],
)
def test_tokens_are_met_without_case_on_evm_chains_only(
    answer: Callable[..., Any], platform: str, asked: str, *, known: bool
) -> None:
    """EVM addresses come back in lower case, Solana's as they are."""
    target = f"{V3}/simple/token_price/{platform}?vs_currencies=usd&contract_addresses={asked}"

    expected = [asked.lower() if platform == "ethereum" else asked] if known else []
    assert list(answer("coingecko", target)) == expected


def test_the_market_list_is_ordered_and_cut_into_pages(
    answer: Callable[..., Any], market: Market
) -> None:
    """By capitalisation, falling, unless `order` says otherwise; at most 250 a page."""
    target = f"{V3}/coins/markets?vs_currency=usd"
    first, second = (answer("coingecko", f"{target}&per_page=5&page={page}") for page in (1, 2))
    caps = [row["market_cap"] for row in first + second]

    assert caps == sorted(caps, reverse=True)
    assert len(answer("coingecko", target)) == 100
    assert len(answer("coingecko", f"{target}&per_page=999")) == 250
    by_id = [row["id"] for row in answer("coingecko", f"{target}&order=id_asc&per_page=250")]
    assert by_id == sorted(asset.id for asset in market.assets)[:250]


def test_market_rows_have_the_documented_members(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """`ids` chooses; sparkline and spans come where they are asked for."""
    target = f"{V3}/coins/markets?vs_currency=usd&ids=dai&sparkline=true"
    row = answer("coingecko", f"{target}&price_change_percentage=1h,7d,no")[0]

    assert (row["id"], len(row["sparkline_in_7d"]["price"])) == ("dai", 168)
    for name in ("current_price", "market_cap", "total_volume", "high_24h", "circulating_supply",
                 "price_change_percentage_1h_in_currency"):  # fmt: skip
        assert shape(row[name]) == "number"
    assert "price_change_percentage_no_in_currency" not in row


@pytest.mark.parametrize(
    "target", [f"{V3}/simple/price?ids=bitcoin", PRICE, f"{V3}/coins/markets?vs_currency=zzz"]
)
def test_what_is_missing_or_wrong_is_an_error(reply: Callable[..., Reply], target: str) -> None:
    """422 in the form with `status`."""
    assert reply("coingecko", target).status == 422
    assert b'"error_message"' in reply("coingecko", target).body


def test_every_answer_has_a_weak_etag_of_its_body(
    reply: Callable[..., Reply], call: Callable[..., Call]
) -> None:
    """And Vary, Cache-Control and Set-Cookie as recorded."""
    found = reply("coingecko", f"{V3}/ping")
    fields = dict(coingecko.PROVIDER.head(call(f"{V3}/ping"), found))

    digest = hashlib.md5(found.body, usedforsecurity=False).hexdigest()
    assert fields["ETag"] == f'W/"{digest}"'
    assert fields["Vary"] == "Accept-Encoding, Origin"
    assert fields["Cache-Control"].startswith("max-age=30, public, must-revalidate")
    assert fields["Set-Cookie"].startswith("__cf_bm=")


@pytest.mark.parametrize(
    ("target", "fields"),
    [
        ("/x", (("x-cg-demo-api-key", "k"),)),
        ("/x", (("X-CG-PRO-API-KEY", "k"),)),
        ("/x?x_cg_demo_api_key=k", ()),
        ("/x?x_cg_pro_api_key=k", ()),
    ],
)
def test_keys_come_in_four_ways(call: Callable[..., Call], target: str, fields: Any) -> None:
    """Header or query, demo or pro."""
    assert coingecko.key(call(target, fields=fields)) == "k"


def test_refusals_say_when_to_come_back_but_for_the_month(call: Callable[..., Call]) -> None:
    """429 with `retry-after`, and with the body that SDKs read."""
    minute = coingecko.refusal(call("/"), Refused(Limit("minute", 30, 60.0), 6.2, {}))
    month = coingecko.refusal(call("/"), Refused(Limit("month", 10_000, "month"), 9e5, {}))

    assert (minute.status, minute.fields) == (429, (("retry-after", "7"),))
    assert (month.status, month.fields) == (429, ())
    assert b'"error_code":429' in minute.body
    assert not PROVIDERS["coingecko"].charge_errors
