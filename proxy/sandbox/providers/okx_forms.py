"""Forms that OKX's endpoints share: envelopes, errors, instruments, prices."""

from functools import lru_cache
from typing import Any

from proxy.sandbox.market import Market, decimals, tick_places
from proxy.sandbox.provider import Call, Reply, json_reply
from proxy.sandbox.providers.binance_market import Pair


def failure(code: str, text: str, status: int = 200) -> Reply:
    """Return an error in OKX's form."""
    return json_reply({"code": code, "msg": text, "data": []}, status)


def success(data: Any) -> Reply:
    """Return a success."""
    return json_reply({"code": "0", "msg": "", "data": data})


@lru_cache(maxsize=8)
def pairs(market: Market, kind: str) -> dict[str, Pair]:
    """Return the instruments of a kind: SPOT, or SWAP (perpetuals)."""
    tail = {"SPOT": "", "SWAP": "-SWAP"}.get(kind)
    if tail is None:
        return {}
    found = {}
    for asset in market.assets[:100]:
        if asset.symbol != "USDT":
            name = f"{asset.symbol}-USDT{tail}"
            found[name] = Pair(name, asset.symbol, "USDT", tick_places(asset.dollars))
    return found


def asked_pair(call: Call, market: Market) -> Pair | Reply:
    """Return the pair that `instId` names, or the error that it earns."""
    name = call.query.get("instId", "")
    if not name:
        return failure("50014", "Parameter instId can not be empty.", 400)
    kind = "SWAP" if name.endswith("-SWAP") else "SPOT"
    missing = failure("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
    return pairs(market, kind).get(name) or missing


def price(market: Market, pair: Pair, at: float) -> str:
    """Return a pair's price as OKX writes it."""
    return decimals(market.price(pair.base, pair.quote, at), pair.places)
