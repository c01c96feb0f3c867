"""Who is let in to the admin side.

- Against DNS rebinding: `Host` must be loopback, the address that was connected to, or one that
  the configuration names. A page of another site cannot make a browser send any of these.
- Against cross-site requests: `Origin`, where a browser sends it, must be this host;
  `Sec-Fetch-Site` must be `same-origin` or `none`. Absent fields are allowed (curl, Prometheus).
- A token, where one is set, is asked for on everything but `/healthz` and `/readyz`.
"""

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

OPEN_PATHS = frozenset({"/healthz", "/readyz"})

_SAME_SITE = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Refused:
    """Why somebody is not let in."""

    status: int
    title: str
    detail: str


class Doors:
    """Lets in, or says why not."""

    def __init__(self, token: str = "", hosts: tuple[str, ...] = ()) -> None:
        """Take the bearer token (empty: none is needed) and further names of this host."""
        self._token = token.encode()
        self._hosts = frozenset(name for host in hosts if (name := _name(host)))

    def foreign(self, headers: Mapping[str, str], local: str) -> Refused | None:
        """Return why a request is a browser's on behalf of another site, or None.

        `local` is the address that the connection was made to.
        """
        host = headers.get("Host", "")
        if not self._is_ours(_name(host), local):
            return Refused(403, "Foreign host", "Host is not a name of this admin listener")
        origin = headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return Refused(403, "Foreign origin", "Origin is another site")
        site = headers.get("Sec-Fetch-Site")
        if site is not None and site not in _SAME_SITE:
            return Refused(403, "Foreign origin", "Sec-Fetch-Site says another site")
        return None

    def trusted(self, headers: Mapping[str, str]) -> bool:
        """Return whether the token came with the request, or none is needed."""
        if not self._token:
            return True
        scheme, _, given = headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode("utf-8", "surrogateescape"), self._token
        )

    def _is_ours(self, name: str, local: str) -> bool:
        if name in self._hosts or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or name == local.partition("%")[0]


def _name(host: str) -> str:
    """Return the name or address in a Host field, in lower case; empty where there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
