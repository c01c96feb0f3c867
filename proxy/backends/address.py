"""Where a Redis is, read from a URL.

    redis://[user:password@]host[:port][/db]                 one server
    rediss://…                                               the same through TLS
    unix:///path/to/socket[?db=N]                            through a socket file
    redis+sentinel://[user:password@]host:port,host:port/service[/db]
    redis+cluster://[user:password@]host:port,host:port
    rediss+sentinel://…, rediss+cluster://…                  the same through TLS

User and password are those of the data servers; Sentinels are asked without first, then with them.
Passwords never stand in what is shown: `str(address)` leaves them out.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_DEFAULT_PORT = 6379
_SENTINEL_PORT = 26379


class Topology(StrEnum):
    """How the servers stand together."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class AddressError(ValueError):
    """The URL is none that this room understands; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """How to reach a Redis: the `store:` and `ledger:` settings. Durations are seconds."""

    url: str = field(repr=False)
    max_connections: int = 4
    """To each server; one is used as long as it keeps up."""
    connect_timeout: float = 1.0
    timeout: float = 1.0
    """Deadline of every command."""
    username: str | None = None
    password_file: Path | None = None
    """Its first line is the password; read at every connect, so that it may be rotated."""
    tls_ca: Path | None = None
    """Certificates to trust in place of the system's."""


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A parsed URL."""

    topology: Topology
    hosts: tuple[tuple[str, int], ...] = ()
    """The server, or the Sentinels or cluster nodes to ask first."""
    socket_file: str = ""
    db: int = 0
    service: str = ""
    """Name under which the Sentinels know the master."""
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        """Return it for logs: no user, no password."""
        place = self.socket_file or ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"{place}/{self.service}" if self.service else place


def parse(url: str) -> RedisAddress:
    """Read a URL.

    Raises:
        AddressError: it is malformed; the message holds no part of the URL that may be secret.

    """
    scheme, _, _ = url.partition(":")
    base, _, kind = scheme.lower().partition("+")
    if scheme == "unix":
        return _socket(url)
    if base not in {"redis", "rediss"} or kind not in {"", "sentinel", "cluster"}:
        raise AddressError(
            "expected redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
        )
    topology = Topology(kind or "single")
    parts = urlsplit(url)
    userinfo, _, hosts = parts.netloc.rpartition("@")
    username, _, password = userinfo.partition(":")
    service, db = _path(parts.path.strip("/"), topology)
    if parts.query or parts.fragment:
        raise AddressError("a Redis URL takes no ?options here: they are settings of `store:`")
    return RedisAddress(
        topology,
        hosts=_hosts(hosts, _SENTINEL_PORT if kind == "sentinel" else _DEFAULT_PORT, topology),
        db=db,
        service=service,
        tls=base == "rediss",
        username=unquote(username),
        password=unquote(password),
    )


def _socket(url: str) -> RedisAddress:
    parts = urlsplit(url)
    db = parse_qs(parts.query).get("db", ["0"])[0]
    userinfo = parts.netloc.rpartition("@")[0]
    if not parts.path or not db.isdecimal():
        raise AddressError("expected unix:///path/to/socket, or unix:///path/to/socket?db=0")
    username, _, password = userinfo.partition(":")
    return RedisAddress(
        Topology.SINGLE,
        socket_file=unquote(parts.path),
        db=int(db),
        username=unquote(username),
        password=unquote(password),
    )


def _path(path: str, topology: Topology) -> tuple[str, int]:
    """Return the Sentinel service and the number of the database."""
    parts = path.split("/") if path else []
    service = ""
    if topology is Topology.SENTINEL:
        if not parts:
            raise AddressError("redis+sentinel:// needs the service: host:port,…/service")
        service = unquote(parts.pop(0))
    if topology is Topology.CLUSTER and parts:
        raise AddressError("a Redis cluster has no numbered databases")
    if len(parts) > 1 or (parts and not parts[0].isdecimal()):
        raise AddressError("the database at the end of a Redis URL is a number")
    return service, int(parts[0]) if parts else 0


def _hosts(text: str, default_port: int, topology: Topology) -> tuple[tuple[str, int], ...]:
    hosts = tuple(_host(part, default_port) for part in text.split(",") if part)
    if not hosts:
        raise AddressError("the Redis URL names no host")
    if len(hosts) > 1 and topology is Topology.SINGLE:
        raise AddressError("several hosts need redis+sentinel:// or redis+cluster://")
    return hosts


def _host(text: str, default_port: int) -> tuple[str, int]:
    """Split `host:port`; an IPv6 address stands in brackets."""
    host, separator, port = text.rpartition(":")
    if not separator or "]" in port:
        host, port = text, str(default_port)
    if not port.isdecimal() or not 0 < int(port) < 2**16:  # ports have 16 bits
        raise AddressError("a port of the Redis URL is no number between 1 and 65535")
    return host.strip("[]"), int(port)
