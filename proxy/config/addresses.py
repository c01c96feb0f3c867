"""Addresses: `host:port` to listen on, and the URLs of providers and stores."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proxy.backends.address import parse as parse_redis

_address = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s\[\]:/@]*)):([0-9]{1,5})").fullmatch
_host = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?").fullmatch
_HIGHEST_PORT: Final = 65535

ADDRESSES_ALLOWED: Final = (
    "an address is host:port, as in 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A host (IPv6 without brackets; empty: all) and a port (0: any free one)."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost" or self.host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read `host:port`.

    Raises:
        ValueError: it is none; the message says what is allowed.

    """
    found = _address(text)
    if found is None or int(found[3]) > _HIGHEST_PORT:
        raise ValueError(f"is no address: {ADDRESSES_ALLOWED}")
    if found[1] is not None:
        try:
            ipaddress.IPv6Address(found[1])
        except ValueError:
            raise ValueError(f"is no IPv6 address in brackets: {ADDRESSES_ALLOWED}") from None
    return Address(found[1] or found[2], int(found[3]))


def parse_host(text: str) -> str:
    """Read a host name, without port, and return it in lower case.

    Raises:
        ValueError: it is none.

    """
    lowered = text.lower().rstrip(".")
    if _host(lowered) is None:
        raise ValueError("is no host name: letters, digits, '-' and '.', and no port")
    return lowered


def parse_base_url(text: str) -> str:
    """Read a provider's base URL, and return it without a trailing slash.

    Raises:
        ValueError: it is none. The message does not repeat it: it may hold a password.

    """
    allowed = "https://host[:port][/path] is allowed"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"is no URL: {allowed}") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError(f"is no URL of a provider: {allowed}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"must not have a user, a query or a fragment: {allowed}")
    if any(character.isspace() or not character.isprintable() for character in text):
        raise ValueError(f"has a space or a control character in it: {allowed}")
    return text.rstrip("/")


def store_kind(url: str) -> str:
    """Return `sqlite`, `redis` or `memory`.

    Raises:
        ValueError: it is none of them. The message does not repeat it: it may hold a password.

    """
    scheme, _, rest = url.partition(":")
    match scheme:
        case "memory":
            return "memory"
        case "sqlite":
            if not rest.removeprefix("//"):
                raise ValueError("names no file: sqlite:PATH, as in sqlite:var/quota-proxy.db")
            return "sqlite"
        case _:
            try:
                parse_redis(url)
            except ValueError as error:
                raise ValueError(f"is no store: sqlite:PATH, memory:, or Redis ({error})") from None
            return "redis"
