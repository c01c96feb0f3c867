"""Forms that CoinGecko's endpoints share."""

from collections.abc import Callable

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call
from proxy.sandbox.providers import coingecko_forms as forms


def test_moments_have_milliseconds_and_a_z() -> None:
    """As recorded."""
    assert forms.iso(1_795_232_239.5) == "2026-11-21T03:37:19.500Z"


def test_flags_are_set_by_true_alone(call: Callable[..., Call]) -> None:
    """In any case of letters."""
    assert forms.asked(call("/?a=True"), "a")
    assert not forms.asked(call("/?a=1"), "a")
    assert not forms.asked(call("/"), "a")


def test_errors_come_in_their_forms() -> None:
    """A word alone, or with `status`."""
    assert forms.not_found().body == b'{"error":"coin not found"}'
    assert forms.bad("x").body == b'{"status":{"error_code":422,"error_message":"x"}}'


def test_addresses_and_pictures_belong_to_the_asset(market: Market) -> None:
    """Ethereum's in lower case, as CoinGecko writes them."""
    asset = market.by_symbol["LINK"]

    assert forms.platforms(asset)["ethereum"] == asset.ethereum.lower()
    assert "chainlink" in forms.image(asset)
