"""Sockets that the traffic listener accepts on."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BACKLOG: Final = 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a listener stands: `host:port`, `[::1]:port`; port 0 takes any that is free."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Return the address that `host:port` names; an empty host or `*` is every interface.

    Raises:
        ValueError: it names none.

    """
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - RFC 9293: 16 bits
        raise ValueError(f"{text!r} is not an address like 127.0.0.1:8080 or [::1]:8080")
    if host.startswith("[") != host.endswith("]") or (":" in host and not host.startswith("[")):
        raise ValueError(f"{text!r}: an IPv6 address stands in brackets, like [::1]:8080")
    return Address(host.strip("[]") or "*", int(port))


def open_socket(address: Address, *, shared: bool = False) -> socket.socket:
    """Bind and listen; `shared` lets other workers bind the same port (SO_REUSEPORT).

    Raises:
        OSError: the address is taken, or not this machine's.

    """
    host = None if address.host == "*" else address.host
    infos = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, place = infos[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        opened.bind(place)
        opened.listen(BACKLOG)
        opened.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    except BaseException:
        opened.close()
        raise
    return opened


def tls_context(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """Return a server's context for a certificate chain and its key (one file may hold both).

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: they do not belong together, or are no certificate and key.

    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context


async def serve_on(
    opened: socket.socket,
    accept: Callable[[], asyncio.BaseProtocol],
    tls: ssl.SSLContext | None = None,
) -> asyncio.Server:
    """Accept connections on an open socket: `serve_on(open_socket(address), front.accept)`."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(accept, sock=opened, ssl=tls, backlog=BACKLOG)
