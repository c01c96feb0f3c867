"""Every simulated provider, by its name."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from proxy.sandbox.limits import Counted, Refused
from proxy.sandbox.provider import Call
from proxy.sandbox.providers.catalogue import PROVIDERS

ROOT = Path(__file__).parents[3]
METHODS = ("GET", "POST", "PUT", "DELETE")


def test_the_seven_and_two_more_are_there() -> None:
    """The providers of the shipped configuration, each with its own variable."""
    assert list(PROVIDERS) == [
        "coingecko", "binance", "binance-futures", "dexscreener", "coinmarketcap", "cryptopanic",
        "fear-and-greed", "kraken", "okx",
    ]  # fmt: skip
    assert len({provider.variable for provider in PROVIDERS.values()}) == len(PROVIDERS)


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_group_that_a_limit_counts_has_a_route(name: str) -> None:
    """No limit counts a group that does not exist."""
    provider = PROVIDERS[name]
    groups = {group for route in provider.routes for group in route.groups}

    assert {limit.group for limit in provider.limits if limit.group} <= groups


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_says_too_much_and_what_it_does_not_know(
    name: str, call: Callable[..., Call]
) -> None:
    """Refusals and unknown paths have an answer, for each limit of each provider."""
    provider, made = PROVIDERS[name], call("/nothing/here")

    assert provider.missing(made).status in {200, 404}
    for limit in provider.limits:
        refused = Refused(limit, 12.3, {limit.name: limit.limit})
        assert provider.refusal(made, refused).status in {200, 429}
        assert isinstance(provider.usage(made, Counted(refused.used)), tuple)


def test_every_shipped_endpoint_is_simulated() -> None:
    """Whatever the shipped configuration names, the sandbox answers."""
    missing = []
    for upstream, path in _shipped():
        target = re.sub(r"\{[^}]+\}", "x", path)
        if not any(PROVIDERS[upstream].route(method, target) for method in METHODS):
            missing.append(f"{upstream} {path}")

    assert missing == []


def _shipped() -> list[tuple[str, str]]:
    found = []
    for file in sorted((ROOT / "config" / "upstreams").glob("*.yaml")):
        upstream = yaml.safe_load(file.read_text(encoding="utf-8"))
        found += [(upstream["name"], each["path"]) for each in upstream["endpoints"].values()]
    return found
