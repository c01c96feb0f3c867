"""The shipped files: they load, they state what they mean, and a free month holds."""

import dataclasses
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct, structs

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.config.yaml_nodes import parse
from proxy.core.costs import lifetimes
from proxy.core.model import Lifetimes
from proxy.core.tables import ByValue
from proxy.core.upstreams import Endpoint, Upstream

CONFIG = Path(__file__).parents[2] / "config"
KEYS = {"COINGECKO_API_KEY": "k", "COINMARKETCAP_API_KEY": "k", "CRYPTOPANIC_API_KEY": "k"}
NAMES = {
    "binance",
    "binance-futures",
    "coingecko",
    "coinmarketcap",
    "cryptopanic",
    "dexscreener",
    "fear-and-greed",
    "kraken",
    "okx",
}
DATA_ONLY = {"coingecko", "coinmarketcap", "cryptopanic", "dexscreener", "fear-and-greed"}
BINANCE_INTERVALS = [
    "1s",
    "1m",
    "3m",
    "5m",
    "15m",
    "30m",
    "1h",
    "2h",
    "4h",
    "6h",
    "8h",
    "12h",
    "1d",
    "3d",
    "1w",
    "1M",
]
DAY = 86400.0


@cache
def settings(**environ: str) -> Settings:
    """Return the shipped configuration under an environment."""
    return load(CONFIG / "proxy.yaml", environ)


def upstream(name: str, **environ: str) -> Upstream:
    """Return a shipped upstream."""
    return {each.name: each for each in settings(**environ).upstreams}[name]


def endpoint(name: str) -> Endpoint:
    """Return a shipped endpoint by `upstream.endpoint`."""
    owner, _, own = name.partition(".")
    return {each.name: each for each in upstream(owner).endpoints}[own]


def test_they_load_with_an_empty_environment() -> None:
    """A fresh machine has no key: what needs one is disabled, and says what is missing."""
    disabled = {each.name: each.disabled for each in settings().upstreams if each.disabled}

    assert {each.name for each in settings().upstreams} == NAMES
    assert disabled == {
        "coinmarketcap": "needs a key: set COINMARKETCAP_API_KEY",
        "cryptopanic": "plan developer needs a key: set CRYPTOPANIC_API_KEY",
    }
    assert {warning.path for warning in settings().warnings} == {"name"}


def test_with_keys_there_is_nothing_to_warn_of() -> None:
    """Every limit is spent by somebody, nothing is disabled."""
    assert settings(**KEYS).warnings == ()


def test_redis_without_a_fleet_size_is_warned_of() -> None:
    """The shipped file leaves `fleet_size` to whoever brings a Redis."""
    (warning,) = settings(**KEYS, REDIS_URL="redis://h").warnings

    assert "fleet_size is not set" in warning.message
    assert settings(**KEYS, REDIS_URL="redis://h", QUOTA_PROXY_FLEET_SIZE="3").fleet_size == 3


def values(part: object) -> Iterator[object]:
    """Yield every plain value of the settings."""
    if dataclasses.is_dataclass(part):
        for field in dataclasses.fields(part):
            yield from values(getattr(part, field.name))
    elif isinstance(part, Struct):
        yield from values(structs.astuple(part))
    elif isinstance(part, tuple | frozenset):
        for each in part:
            yield from values(each)
    else:
        yield part


def test_settings_are_made_of_plain_values() -> None:
    """What the environment put in is a `str` as any other, once it has been read."""
    kinds = {type(value).__name__ for value in values(settings(**KEYS))}

    assert kinds <= {"str", "int", "float", "bool", "NoneType", "PosixPath"} | {
        "Policy",
        "Algorithm",
        "Case",
        "ListForm",
        "Order",
        "CalendarUnit",
    }


def written() -> Iterator[Any]:
    """Yield every endpoint as it is written."""
    for file in sorted((CONFIG / "upstreams").glob("*.yaml")):
        document = parse(file.read_text(encoding="utf-8"), file.name, {})
        for name, rule in document.data["endpoints"].items():
            yield pytest.param(rule, id=f"{file.stem}-{name}")


@pytest.mark.parametrize("rule", tuple(written()))
def test_every_endpoint_states_its_own_lifetimes(rule: dict[str, Any]) -> None:
    """None inherits a ttl or a stale window: who reads the rule knows what it promises."""
    never_stored = rule.get("live") or rule.get("private")
    stated = rule.keys() & {"ttl", "stale_while_revalidate", "stale_if_error"}

    assert len(stated) == (0 if never_stored else 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("coingecko.price", Lifetimes(90, 15, 300)),
        ("coingecko.token_price", Lifetimes(90, 15, 300)),
        ("binance.ticker_price", Lifetimes(30, 15, 300)),
        ("binance-futures.ticker_price", Lifetimes(30, 15, 300)),
        ("dexscreener.token_price", Lifetimes(60, 15, 300)),
        ("kraken.ticker", Lifetimes(30, 15, 300)),
        ("okx.ticker", Lifetimes(30, 15, 300)),
        ("binance.exchange_info", Lifetimes(3600, 600, DAY)),
        ("binance-futures.exchange_info", Lifetimes(3600, 600, DAY)),
    ],
)
def test_prices_and_metadata(name: str, expected: Lifetimes) -> None:
    """Spot prices 15 s and 5 min beyond their TTL, exchangeInfo 10 min and 24 h."""
    assert lifetimes(endpoint(name), ()) == expected


@pytest.mark.parametrize(
    "name",
    [
        f"{exchange}.{kind}"
        for exchange in ("binance", "binance-futures")
        for kind in ("depth", "trades", "aggregate_trades", "historical_trades", "book_ticker")
    ]
    + ["kraken.depth", "kraken.trades", "kraken.spread", "okx.books", "okx.trades"],
)
def test_order_books_and_trades_are_never_stale(name: str) -> None:
    """Nobody trades on an old book."""
    found = lifetimes(endpoint(name), ())

    assert (found.stale_while_revalidate, found.stale_if_error) == (0, 0)


@pytest.mark.parametrize("name", ["binance.exchange_info", "binance-futures.exchange_info"])
def test_exchange_info_is_stored_however_large(name: str) -> None:
    """It is the most expensive answer that every bot asks for."""
    assert endpoint(name).max_size == math.inf


@pytest.mark.parametrize(
    "name",
    [
        "binance.ping",
        "binance.time",
        "binance.user_data_stream",
        "binance-futures.ping",
        "binance-futures.time",
        "binance-futures.listen_key",
        "coingecko.ping",
        "kraken.time",
        "okx.time",
    ],
)
def test_clocks_pings_and_listen_keys_are_live(name: str) -> None:
    """Forwarded and charged, never stored, joined, queued or rescued."""
    assert endpoint(name).live


@pytest.mark.parametrize(
    ("name", "intervals"),
    [
        ("binance.klines", BINANCE_INTERVALS),
        ("binance.ui_klines", BINANCE_INTERVALS),
        ("binance-futures.klines", BINANCE_INTERVALS[1:]),
    ],
)
def test_all_intervals_are_listed(name: str, intervals: list[str]) -> None:
    """No interval of Binance falls to `else`, and a longer one is never kept shorter."""
    table = endpoint(name).ttl

    assert isinstance(table, ByValue)
    assert [row for row, _ in table.rows] == intervals
    seconds = [figure for _, figure in table.rows if isinstance(figure, float)]
    assert seconds == sorted(seconds)
    assert len(seconds) == len(intervals)


def test_orders_and_accounts_are_private() -> None:
    """Signed endpoints are listed, with what they cost."""
    private = {
        each.name: each.cost.general for each in upstream("binance").endpoints if each.private
    }

    assert (
        private.items()
        >= {"account": 20.0, "order": 4.0, "my_trades": 20.0, "all_orders": 20.0}.items()
    )


@pytest.mark.parametrize("name", sorted(NAMES))
def test_data_only_providers_take_no_orders(name: str) -> None:
    """They ship with GET and HEAD; exchanges take any method."""
    methods = {each.methods for each in upstream(name).endpoints}

    assert methods == {frozenset({"GET", "HEAD"}) if name in DATA_ONLY else None}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_address_can_be_replaced(name: str) -> None:
    """A sandbox, or a mirror, stands in for a provider by one variable."""
    variable = name.upper().replace("-", "_") + "_BASE_URL"

    assert upstream(name).base_url.startswith("https://")
    assert upstream(name, **{variable: "http://127.0.0.1:9"}).base_url == "http://127.0.0.1:9"


def test_kraken_and_okx_have_ports_of_their_own() -> None:
    """Their SDKs drop a path prefix; the ports stay on loopback and can be moved."""
    own = {each.upstream: each for each in settings().listeners if each.upstream}

    assert own.keys() == {"kraken", "okx"}
    assert all(listener.loopback for listener in own.values())
    assert upstream("kraken", KRAKEN_LISTEN="127.0.0.1:9").listen == "127.0.0.1:9"


@pytest.mark.parametrize(
    ("environ", "plan", "minute", "month", "base_url"),
    [
        ({}, "keyless", 5, None, "https://api.coingecko.com"),
        (KEYS, "demo", 30, 10000, "https://api.coingecko.com"),
        (KEYS | {"COINGECKO_PLAN": "basic"}, "basic", 250, 100000, "https://pro-api.coingecko.com"),
        (KEYS | {"COINGECKO_PLAN": "analyst"}, "analyst", 500, 500000, None),
        (KEYS | {"COINGECKO_PLAN": "lite"}, "lite", 500, 2000000, None),
    ],
)
def test_coingeckos_plans(
    environ: dict[str, str], plan: str, minute: float, month: float | None, base_url: str | None
) -> None:
    """The environment chooses the plan: its limits, its address, its key."""
    found = upstream("coingecko", **environ)
    limits = {limit.name: limit.limit for limit in found.limits}

    assert (found.plan, limits["minute"], limits.get("month")) == (plan, minute, month)
    assert base_url in {None, found.base_url}


@pytest.mark.parametrize("name", ["coingecko.price", "coinmarketcap.quotes_v2"])
def test_one_hot_key_fits_into_a_free_month(name: str) -> None:
    """At its longest stretch a key that is asked for all the time costs less than a month has."""
    rule = endpoint(name)
    month = next(limit for limit in upstream(rule.upstream, **KEYS).limits if limit.name == "month")
    calls = 31 * DAY / (lifetimes(rule, ()).ttl * rule.stretch)

    assert calls <= month.limit == 10000
    assert month.pace is not None


@pytest.mark.parametrize("name", ["coingecko", "coinmarketcap", "cryptopanic"])
def test_months_are_paced_and_lifetimes_stretch(name: str) -> None:
    """A month never ends early, whatever bots ask for."""
    found = upstream(name, **KEYS)

    assert {limit.pace for limit in found.limits if limit.per == "month"} == {0.1}
    assert {rule.stretch for rule in found.endpoints} == {3.0}


def test_no_key_that_a_bot_may_bring_is_overlooked() -> None:
    """Every spelling that providers.md knows of is secret."""
    assert upstream("coingecko").secret_parameters == {"x_cg_demo_api_key", "x_cg_pro_api_key"}
    assert upstream("coingecko").secret_headers == {"x-cg-demo-api-key", "x-cg-pro-api-key"}
    assert "auth_token" in upstream("cryptopanic").secret_parameters
    assert "x-cmc_pro_api_key" in upstream("coinmarketcap").secret_headers
    assert "x-mbx-apikey" in upstream("binance").secret_headers
    assert "x-mbx-apikey" in upstream("binance-futures").secret_headers
