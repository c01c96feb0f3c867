"""Forms that CoinGecko's endpoints share: errors, moments, addresses."""

from datetime import UTC, datetime

from proxy.sandbox.market import Asset
from proxy.sandbox.provider import Call, Reply, json_reply

PLATFORMS = {"ethereum": "ethereum", "polygon-pos": "ethereum", "solana": "solana"}
"""Asset platform to the kind of its addresses."""


def not_found(text: str = "coin not found") -> Reply:
    """Return the error for an unknown coin or platform."""
    return json_reply({"error": text}, 404)


def bad(text: str) -> Reply:
    """Return the error for a bad parameter."""
    return json_reply({"status": {"error_code": 422, "error_message": text}}, 422)


def asked(call: Call, name: str) -> bool:
    """Tell whether a flag is set."""
    return call.query.get(name, "").lower() == "true"


def image(asset: Asset) -> str:
    """Return a picture's address; there is none behind it."""
    return f"https://images.sandbox.invalid/coins/{asset.number}/large/{asset.id}.png"


def iso(at: float) -> str:
    """Return a moment as CoinGecko writes it: `2026-05-18T12:49:21.599Z`."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def platforms(asset: Asset) -> dict[str, str]:
    """Return the asset's addresses by platform."""
    return {"ethereum": asset.ethereum.lower(), "solana": asset.solana}
