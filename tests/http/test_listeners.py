"""Sockets to accept on."""

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from proxy.http.front import Front
from proxy.http.listeners import Address, open_socket, parse_address, serve_on, tls_context
from tests.http.conftest import WrittenFlow


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080), True),
        ("localhost:1", Address("localhost", 1), True),
        ("[::1]:8080", Address("::1", 8080), True),
        ("0.0.0.0:80", Address("0.0.0.0", 80), False),  # noqa: S104 - parsed, not bound
        (":80", Address("*", 80), False),
        ("*:80", Address("*", 80), False),
        ("proxy.example:0", Address("proxy.example", 0), False),
    ],
)
def test_addresses(text: str, address: Address, loopback: bool) -> None:  # noqa: FBT001 - a column
    """`host:port`, with brackets around IPv6; only loopback is out of others' reach."""
    assert parse_address(text) == address
    assert address.loopback is loopback


@pytest.mark.parametrize("text", ["", "8080", "a:", "a:x", "a:70000", "::1:80", "[::1:80", "a:-1"])
def test_what_is_no_address(text: str) -> None:
    """The error shows what an address looks like."""
    with pytest.raises(ValueError, match="8080"):
        parse_address(text)


def test_addresses_are_written_as_they_are_read() -> None:
    """Both families."""
    for text in ("127.0.0.1:8080", "[::1]:8080"):
        assert str(parse_address(text)) == text


def test_workers_share_a_port() -> None:
    """SO_REUSEPORT: two sockets on one port; without it the second is refused."""
    first = open_socket(Address("127.0.0.1", 0), shared=True)
    port = first.getsockname()[1]
    second = open_socket(Address("127.0.0.1", port), shared=True)
    with pytest.raises(OSError, match="in use"):
        open_socket(Address("127.0.0.1", port))
    first.close()
    second.close()


async def test_a_certificate(tmp_path: Path) -> None:
    """With one, the listener speaks TLS; the chain and the key may stand in one file."""
    authority, client = trustme.CA(), ssl.create_default_context()
    issued = authority.issue_cert("localhost")
    authority.configure_trust(client)
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    opened = open_socket(Address("127.0.0.1", 0))
    front = Front(WrittenFlow())
    server = await serve_on(opened, front.accept, tls_context(str(tmp_path / "both.pem")))
    port = opened.getsockname()[1]
    reader, writer = await asyncio.open_connection("localhost", port, ssl=client)
    writer.write(b"GET / HTTP/1.1\r\nHost: P\r\n\r\n")
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    writer.close()
    server.close()
    await front.close(0.1)


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """Told at the start, not at the first handshake."""
    (tmp_path / "no.pem").write_text("no")
    with pytest.raises(ssl.SSLError):
        tls_context(str(tmp_path / "no.pem"))
