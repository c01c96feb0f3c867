"""What `load` returns: everything that was configured, checked and frozen.

Durations are seconds, sizes bytes, files absolute paths. Secrets stand in fields without a repr.
"""

from dataclasses import dataclass, field
from pathlib import Path

from proxy.config.problems import Problem
from proxy.core.upstreams import Limit, Upstream


@dataclass(frozen=True, slots=True)
class Listener:
    """An address to listen on."""

    host: str
    """A name or an address (IPv6 without brackets); empty: all."""
    port: int
    """0: any free one."""
    loopback: bool = True
    certificate: Path | None = None
    key: Path | None = None
    upstream: str = ""
    """The upstream whose own it is; empty: traffic for all, or admin."""

    @property
    def address(self) -> str:
        """`host:port`, as in a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The admin listener."""

    listener: Listener
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where entries, or counts, are kept."""

    kind: str
    """`sqlite`, `redis` (with Sentinel and Cluster) or `memory`."""
    url: str = field(repr=False)
    """As configured; may hold a password."""
    path: str = ""
    """Of an SQLite file, relative to the working directory."""
    namespace: str = "quota-proxy"
    max_connections: int = 4
    connect_timeout: float = 1.0
    timeout: float = 1.0
    username: str | None = None
    password_file: Path | None = None
    """Its first line is the password."""
    tls_ca: Path | None = None
    max_size: int = 1024**3
    """Bytes of entries kept in SQLite."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged, and how."""

    level: str = "info"
    format: str = "auto"
    """`auto` (console on a terminal, else json), `json` or `console`."""


@dataclass(frozen=True, slots=True)
class ClientRule:
    """A configured client, known by any of its marks."""

    name: str
    token: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()
    """Networks, as in 10.0.0.0/8."""
    port: int | None = None
    weight: float = 1.0
    priority: int | None = None
    upstreams: frozenset[str] | None = None
    """Names of those it may use; None: all."""
    limits: tuple[Limit, ...] = ()
    """Its own budget at each upstream; their names begin with `~` and its own."""


UNLISTED = "unlisted"
"""The label of all that `auto` lets in."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Who may come in."""

    rules: tuple[ClientRule, ...] = ()
    auto: bool = False
    """So may everybody else, each with weight 1."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration."""

    file: Path
    files: tuple[Path, ...]
    """All that was read: what a reload watches."""
    listeners: tuple[Listener, ...]
    """For traffic; those that an upstream has for itself come last."""
    admin: AdminSettings
    store: StoreSettings
    ledger: StoreSettings
    upstreams: tuple[Upstream, ...]
    clients: ClientSettings | None = None
    """None: everybody may come in."""
    memory: int = 256 * 1024 * 1024
    fleet_size: int = 1
    accelerator: bool = True
    """Whether request heads that were met before are answered unparsed."""
    secret: str = ""
    """Keys the HMAC of credentials that clients bring; empty: the installation makes its own."""
    record: Path | None = None
    """Where requests are recorded."""
    log: LogSettings = LogSettings()
    warnings: tuple[Problem, ...] = ()
    """What is allowed, and probably not meant."""
