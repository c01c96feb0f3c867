"""Asking a simulated provider without a network, and telling the shape of what it answers."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from proxy.core.fields import Fields
from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Reply, query_of
from proxy.sandbox.providers.catalogue import PROVIDERS
from tests.values import replace

NOW = 1_795_232_239.5
"""2026-11-21 03:37:19.5 UTC."""
KEYS: Fields = (("X-CMC_PRO_API_KEY", "key"), ("X-MBX-APIKEY", "key"))
MARKET = Market()


def _called(target: str, method: str, fields: Fields, body: bytes, now: float) -> Call:
    path = target.partition("?")[0]
    return Call(
        method=method,
        target=target,
        path=path,
        query=query_of(target),
        fields=fields,
        body=body,
        address="127.0.0.1",
        now=now,
        origin="http://sandbox.test/p",
    )


@pytest.fixture(scope="session")
def market() -> Market:
    """The market that all calls of the tests meet."""
    return MARKET


@pytest.fixture(scope="session")
def call() -> Callable[..., Call]:
    """Make a call: `call("/path?x=1", fields=…, method=…, body=…, now=…)`."""

    def make(
        target: str,
        *,
        method: str = "GET",
        fields: Fields = KEYS,
        body: bytes = b"",
        now: float = NOW,
    ) -> Call:
        return _called(target, method, fields, body, now)

    return make


@pytest.fixture(scope="session")
def reply(call: Callable[..., Call]) -> Callable[..., Reply]:
    """Ask a provider: `reply("binance", "/api/v3/ping")`; nothing is counted."""

    def ask(name: str, target: str, **more: Any) -> Reply:
        provider, made = PROVIDERS[name], call(target, **more)
        route, names = provider.route(made.method, made.path) or pytest.fail(f"no route: {target}")
        return route.answer(replace(made, names=names), MARKET)

    return ask


@pytest.fixture(scope="session")
def answer(reply: Callable[..., Reply]) -> Callable[..., Any]:
    """Ask a provider and read the JSON."""
    return lambda name, target, **more: json.loads(reply(name, target, **more).body)


@pytest.fixture(scope="session")
def charge(call: Callable[..., Call]) -> Callable[..., int]:
    """Ask what a call costs by its request alone."""

    def weigh(name: str, target: str, **more: Any) -> int:
        made = call(target, **more)
        route, names = PROVIDERS[name].route(made.method, made.path) or pytest.fail(target)
        return route.charge(replace(made, names=names))

    return weigh


@pytest.fixture(scope="session")
def shape() -> Callable[[Any], Any]:
    """Tell the shape of a JSON value: `decimal`, `text`, `number`, `flag`, null, [first], {…}."""
    return _shape


def _shape(value: Any) -> Any:
    match value:
        case dict():
            return {name: _shape(member) for name, member in value.items()}
        case list():
            return [_shape(value[0])] if value else []
        case bool():
            return "flag"
        case int() | float():
            return "number"
        case str():
            return "decimal" if re.fullmatch(r"-?\d+(\.\d+)?", value) else "text"
        case _:
            return value
