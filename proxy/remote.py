"""The admin API from a terminal: who is asked, and how the answers are shown.

- The connection goes straight to the address that was named: no proxy of the environment, and no
  redirect is followed, so the token reaches nobody else.
- Only the standard library is imported: a command that asks one question starts at once.
"""

import http.client
import json
import ssl
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

PATIENCE = 10.0
"""Seconds within which the admin listener answers."""

_ANYWHERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is listened on
"""How a listener on all addresses is reached from its own machine."""

_LONGEST = 16 * 1024 * 1024


class RemoteError(Exception):
    """The admin listener gave no answer, or another than was asked for."""


@dataclass(frozen=True, slots=True)
class Admin:
    """An admin listener."""

    url: str
    token: str = field(default="", repr=False)

    def quota(self) -> dict[str, Any]:
        """Return how every upstream's limits stand.

        Raises:
            RemoteError: no answer, or an error.

        """
        upstreams = _asked(self, "GET", "/api/v1/quota", None).get("upstreams")
        if not isinstance(upstreams, dict):
            raise RemoteError(f"{self.url} speaks of no upstreams: not an admin listener")
        return upstreams

    def set_used(self, upstream: str, limit: str, used: float) -> dict[str, Any]:
        """Set what was used of a limit already; return how it stands then.

        Raises:
            RemoteError: no answer, or an error.

        """
        path = f"/api/v1/quota/{quote(upstream, safe='')}/{quote(limit)}"
        figures = _asked(self, "PUT", path, {"used": used})
        if "used" not in figures:
            raise RemoteError(f"{self.url} does not say what is used: not an admin listener")
        return figures


def local(host: str, port: int) -> str:
    """Return the base URL of a listener on this machine."""
    host = _ANYWHERE.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def table(upstreams: Mapping[str, Any]) -> str:
    """Return the quota table: a line for each limit."""
    rows: list[tuple[str, ...]] = [
        ("UPSTREAM", "LIMIT", "USED", "OF", "LEFT", "RESETS", "RUNS OUT")
    ]
    for name, upstream in sorted(upstreams.items()):
        rows += [_row(name, limit, figures) for limit, figures in upstream["limits"].items()]
    blocked = (
        f"{name} is held until {upstream['blocked_until']}"
        for name, upstream in sorted(upstreams.items())
        if upstream["blocked_until"]
    )
    return "\n".join((*_columns(rows), *blocked))


def _row(upstream: str, limit: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    counts = (f"{figures[each]:,.10g}" for each in ("used", "limit", "remaining"))
    return (upstream, limit, *counts, figures["resets_at"] or "-", figures["forecast"] or "-")


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell.rjust(width) if 2 <= index <= 4 else cell.ljust(width)  # noqa: PLR2004 - the figures' columns
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def _asked(admin: Admin, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
    try:
        status, content = _exchanged(admin, method, path, body)
    except (OSError, http.client.HTTPException) as error:
        raise RemoteError(f"{admin.url} does not answer as an admin listener: {error}") from None
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise RemoteError(f"{admin.url}: {status} without JSON: not an admin listener")
    if status != http.client.OK:
        raise RemoteError(f"{status} {said.get('title', '')}: {said.get('detail', '')}")
    return said


def _exchanged(
    admin: Admin, method: str, path: str, body: Mapping[str, Any] | None
) -> tuple[int, bytes]:
    connection, base = _connection(admin.url)
    fields: dict[str, str | bytes] = {"Accept": "application/json"}
    if admin.token:
        fields["Authorization"] = b"Bearer " + admin.token.encode()
    content = None
    if body is not None:
        content = json.dumps(body).encode()
        fields["Content-Type"] = "application/json"
    try:
        connection.request(method, base + path, content, fields)
        answer = connection.getresponse()
        return answer.status, answer.read(_LONGEST)
    finally:
        connection.close()


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    """Return a connection to a URL's host, and its path.

    Raises:
        RemoteError: it is not a URL that can be asked.

    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise RemoteError(f"{url!r} is not a URL: {error}") from None
    if host is None or parts.scheme not in {"http", "https"}:
        raise RemoteError(f"{url!r} is not a URL such as http://127.0.0.1:8081")
    base = parts.path.rstrip("/")
    if parts.scheme == "https":
        tls = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=PATIENCE, context=tls), base
    return http.client.HTTPConnection(host, port, timeout=PATIENCE), base
