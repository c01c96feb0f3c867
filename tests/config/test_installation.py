"""The proxy's own settings: listeners, admin, store, ledger, clients."""

from collections.abc import Callable
from pathlib import Path

from proxy.config.settings import (
    AdminSettings,
    ClientRule,
    ClientSettings,
    Listener,
    LogSettings,
    Settings,
    StoreSettings,
)
from proxy.core.upstreams import Algorithm, CalendarUnit, Limit

Configure = Callable[..., Settings]


def test_an_empty_file_is_the_contracts_defaults(configure: Configure) -> None:
    """Loopback, SQLite under var/, 256 MiB, one instance."""
    settings = configure()

    assert settings.listeners == (Listener("127.0.0.1", 8080),)
    assert settings.admin == AdminSettings(Listener("127.0.0.1", 8081))
    assert settings.store == StoreSettings(
        "sqlite", "sqlite:var/quota-proxy.db", "var/quota-proxy.db"
    )
    assert settings.ledger == settings.store
    assert (settings.memory, settings.accelerator) == (268435456, True)
    assert (settings.fleet_size, settings.log, settings.clients) == (1, LogSettings(), None)


def test_everything_that_the_file_can_say(configure: Configure, tmp_path: Path) -> None:
    """Each key arrives in the settings; files are relative to the file that names them."""
    for name in ("cert.pem", "key.pem", "password", "ca.pem"):
        (tmp_path / name).touch()
    settings = configure(
        "listen:\n"
        "  - {address: '[::]:8443', tls_certificate: cert.pem, tls_key: key.pem}\n"
        "  - localhost:8090\n"
        "clients:\n"
        "  auto: true\n"
        "  named:\n"
        "    grid: {token: t, addresses: 10.0.0.0/8, port: 8090, weight: 2, priority: 1}\n"
        "    other: {upstreams: [], limits: {day: {limit: 9, per: day, counts: requests}}}\n"
        "admin: {listen: '0.0.0.0:9', token: secret, hosts: [ops.example.org]}\n"
        "store: sqlite:/var/x.db\n"
        "ledger:\n"
        "  url: rediss://h\n"
        "  namespace: q\n"
        "  max_connections: 8\n"
        "  connect_timeout: 3s\n"
        "  timeout: 250ms\n"
        "  username: u\n"
        "  password_file: password\n"
        "  tls_ca: ca.pem\n"
        "memory: 1GiB\n"
        "accelerator: false\n"
        "fleet_size: 3\n"
        "log: {level: debug, format: json}\n"
    )

    assert settings.listeners == (
        Listener("::", 8443, False, tmp_path / "cert.pem", tmp_path / "key.pem"),  # noqa: FBT003 - loopback
        Listener("localhost", 8090),
    )
    budget = Limit(
        "~other/day", 9, CalendarUnit.DAY, Algorithm.FIXED_WINDOW, of="client", counts="requests"
    )
    assert settings.clients == ClientSettings(
        (
            ClientRule("grid", "t", ("10.0.0.0/8",), 8090, 2.0, 1),
            ClientRule("other", upstreams=frozenset(), limits=(budget,)),
        ),
        auto=True,
    )
    assert settings.admin == AdminSettings(
        Listener("0.0.0.0", 9, loopback=False),  # noqa: S104 - what was configured
        "secret",
        ("ops.example.org",),
    )
    assert settings.store == StoreSettings("sqlite", "sqlite:/var/x.db", "/var/x.db")
    assert settings.ledger == StoreSettings(
        kind="redis",
        url="rediss://h",
        namespace="q",
        max_connections=8,
        connect_timeout=3.0,
        timeout=0.25,
        username="u",
        password_file=tmp_path / "password",
        tls_ca=tmp_path / "ca.pem",
    )
    assert (settings.memory, settings.fleet_size) == (1024**3, 3)
    assert settings.accelerator is False
    assert settings.log == LogSettings("debug", "json")


def test_the_store_as_a_mapping(configure: Configure) -> None:
    """`max_size` bounds what SQLite keeps."""
    settings = configure("store: {url: 'sqlite:x.db', max_size: 64MiB}\n")

    assert settings.store.max_size == 64 * 1024**2


def test_an_open_listener(configure: Configure) -> None:
    """`open: true` lets everybody in, on purpose."""
    settings = configure("listen: ':8080'\nopen: true\n")

    assert settings.listeners == (Listener("", 8080, loopback=False),)
