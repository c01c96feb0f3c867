"""The proxy's own part of the configuration: listeners, admin, store, ledger, log, clients."""

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

from proxy.config.addresses import Address, parse_address, store_kind
from proxy.config.limits import limit
from proxy.config.problems import Path
from proxy.config.schema import ClientFile, ClientsFile, ListenerFile, ProxyFile, StoreFile
from proxy.config.schema_upstream import LimitFile
from proxy.config.settings import (
    UNLISTED,
    AdminSettings,
    ClientRule,
    ClientSettings,
    Listener,
    StoreSettings,
)
from proxy.config.validation import Validated
from proxy.core.spending import OWN
from proxy.core.upstreams import Limit


class Installation:
    """Makes settings of `proxy.yaml`; what is wrong is complained of there."""

    def __init__(self, validated: Validated[ProxyFile], file: ProxyFile, folder: FilePath) -> None:
        """Take the document, its model, and the folder that its files are relative to."""
        self._validated = validated
        self._file = file
        self._folder = folder

    def listeners(self) -> tuple[Listener, ...]:
        """Return the listeners for traffic."""
        several = ("listen", 0) in self._validated.document.values
        return tuple(
            self._listener(each, ("listen", index) if several else ("listen",))
            for index, each in enumerate(self._file.listen)
        )

    def admin(self) -> AdminSettings:
        """Return the admin listener."""
        path = ("admin", "listen")
        listener = self._listener(self._file.admin.listen, path)
        if not listener.loopback and not self._file.admin.token:
            self._validated.complain(
                path, "is reachable from beyond this machine, so `admin.token` must be set"
            )
        return AdminSettings(listener, self._file.admin.token, self._file.admin.hosts)

    def store(self) -> StoreSettings:
        """Return where entries are kept."""
        return self._store(self._file.store, ("store",))

    def ledger(self) -> StoreSettings:
        """Return where limits are counted: by default in the store."""
        if self._file.ledger is None:
            return self._store(self._file.store, ("store",))
        return self._store(self._file.ledger, ("ledger",))

    def clients(self) -> ClientSettings | None:
        """Return who may come in; None: everybody."""
        file = self._file.clients
        if file is None:
            return None
        self._check_clients(file)
        return ClientSettings(
            tuple(
                ClientRule(
                    name,
                    each.token,
                    each.addresses,
                    each.port,
                    each.weight or 1.0,
                    each.priority,
                    None if each.upstreams is None else frozenset(each.upstreams),
                    tuple(self._budgets(name, each)),
                )
                for name, each in file.named.items()
            ),
            auto=file.auto,
        )

    def _listener(self, file: ListenerFile, path: Path) -> Listener:
        try:
            address = parse_address(file.address)
        except ValueError as error:
            self._validated.complain(self._place(path, "address"), str(error))
            address = Address("127.0.0.1", 0)
        if (file.tls_certificate is None) != (file.tls_key is None):
            self._validated.complain(path, "TLS needs both `tls_certificate` and `tls_key`")
        return Listener(
            address.host,
            address.port,
            address.loopback,
            self._existing((*path, "tls_certificate"), file.tls_certificate),
            self._existing((*path, "tls_key"), file.tls_key),
        )

    def _store(self, file: StoreFile, path: Path) -> StoreSettings:
        kind = "memory"
        try:
            kind = store_kind(file.url)
        except ValueError as error:
            self._validated.complain(self._place(path, "url"), str(error))
        return StoreSettings(
            kind=kind,
            url=file.url,
            path=file.url.partition(":")[2].removeprefix("//") if kind == "sqlite" else "",
            namespace=file.namespace,
            max_connections=file.max_connections,
            connect_timeout=file.connect_timeout,
            timeout=file.timeout,
            username=file.username,
            password_file=self._existing((*path, "password_file"), file.password_file),
            tls_ca=self._existing((*path, "tls_ca"), file.tls_ca),
            max_size=file.max_size,
        )

    def _place(self, path: Path, word: str) -> Path:
        """Return where `word` stands: in a mapping, or as the plain text in place of one."""
        return (*path, word) if (*path, word) in self._validated.document.values else path

    def _existing(self, path: Path, name: str | None) -> FilePath | None:
        if not name:
            return None
        found = (self._folder / name).absolute()
        if not found.is_file():
            self._validated.complain(path, f"there is no file {found}")
        return found

    def _budgets(self, client: str, file: ClientFile) -> Iterator[Limit]:
        for name, each in file.limits.items():
            path = ("clients", "named", client, "limits", name)
            given = LimitFile.model_construct(limit=each.limit, per=each.per, counts=each.counts)
            made = limit(name, given, path, self._validated.complain)
            yield replace(made, name=f"{OWN}{client}/{name}", of="client")

    def _check_clients(self, file: ClientsFile) -> None:
        tokens: dict[str, str] = {}
        for name, each in file.named.items():
            path = ("clients", "named", name)
            if name == UNLISTED:
                self._validated.complain(path, "is what all clients are called that have no name")
            if each.weight <= 0:
                self._validated.complain((*path, "weight"), "must be more than 0")
            if each.token and tokens.setdefault(each.token, name) != name:
                self._validated.complain(
                    (*path, "token"), f"is the token of {tokens[each.token]} too"
                )
            for index, network in enumerate(each.addresses):
                try:
                    ipaddress.ip_network(network)
                except ValueError:
                    self._validated.complain(
                        (*path, "addresses", index),
                        "is no address range: 10.0.0.0/8, 2001:db8::/32 or a single address",
                    )
