"""The upstream client against real sockets: a provider that counts, drops, lies and hangs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from msgspec import structs

from proxy.core.model import Failed, Failure
from proxy.http.client import Client
from tests.http.conftest import until
from tests.http.providing import OK, Met, Provider, providing, read, says
from tests.values import replace

# ── what goes out ──


async def test_what_is_sent_is_what_was_given(provider: Provider, client: Client) -> None:
    """Request line and fields, in order, and nothing of aiohttp's own but Host."""
    value = "\u00e9".encode().decode("latin-1")  # as the front reads the octets of UTF-8
    fields = (("X-B", "1"), ("x-a", value), ("X-B", "2"), ("Accept", "*/*"))
    out = provider.outbound("/a//b%2F/?x=%5B&y=+", fields=fields)
    assert await read(await client.send(out)) == b"ok"
    assert provider.asked[0].head.decode() == (
        "GET /a//b%2F/?x=%5B&y=+ HTTP/1.1\r\n"
        f"Host: localhost:{provider.port}\r\n"
        "X-B: 1\r\nx-a: é\r\nX-B: 2\r\nAccept: */*\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ('/a?symbols=["A","B"]', b'GET /a?symbols=["A","B"] HTTP/1.1'),
        ("/a?symbols=%5B%22A%22,%22B%22]", b"GET /a?symbols=%5B%22A%22,%22B%22] HTTP/1.1"),
        ("/a?x={}|^`<>'", b"GET /a?x={}|^`<>' HTTP/1.1"),
        ("/a/./b?q=a+b&q=%20&&=", b"GET /a/./b?q=a+b&q=%20&&= HTTP/1.1"),
        ("/a?", b"GET /a? HTTP/1.1"),
        ("/é?q=ü", b"GET /%C3%A9?q=%C3%BC HTTP/1.1"),
        ("/a?q=\udce9", b"GET /a?q=%E9 HTTP/1.1"),
        ("/a?q=#b", b"GET /a?q=%23b HTTP/1.1"),
        ("/a?q=a b\r\nX: y", b"GET /a?q=a%20b%0D%0AX:%20y HTTP/1.1"),
        ("", b"GET / HTTP/1.1"),
    ],
)
async def test_targets_go_out_byte_for_byte(
    provider: Provider, client: Client, target: str, line: bytes
) -> None:
    """A signature may have been counted over them; only what breaks a request line is encoded."""
    await read(await client.send(provider.outbound(target)))
    assert provider.asked[0].line == line


@pytest.mark.parametrize("base", ["/base", "/base/"])
async def test_the_base_urls_own_path_comes_first(
    provider: Provider, client: Client, base: str
) -> None:
    """`base_url` may have a path; a slash at its end is not doubled."""
    out = provider.outbound("/x?y")
    upstream = replace(out.upstream, base_url=out.upstream.base_url + base)
    based = structs.replace(out, upstream=upstream)
    await read(await client.send(based))
    assert provider.asked[0].line == b"GET /base/x?y HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"])
async def test_any_method(provider: Provider, client: Client, method: str) -> None:
    """Whatever the front takes, the upstream gets."""
    await read(await client.send(provider.outbound(method=method, body=b"a=b")))
    met = provider.asked[0]
    assert (met.line, met.body) == (f"{method} /x HTTP/1.1".encode(), b"a=b")
    assert b"content-type" not in met.head.lower()


async def stream(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


@pytest.mark.parametrize("fields", [(), (("Content-Length", "5"),)])
async def test_a_body_passes_through(provider: Provider, client: Client, fields: Any) -> None:
    """With the length that the client gave, or in chunks where it gave none."""
    out = provider.outbound(method="POST", body=stream(b"he", b"llo"), fields=fields)
    await read(await client.send(out))
    assert provider.asked[0].body == b"hello"
    assert (b"chunked" in provider.asked[0].head) == (not fields)


async def test_a_client_that_goes_in_the_middle_is_a_failure(
    provider: Provider, client: Client
) -> None:
    """Half a body was sent: the provider may or may not act on it."""
    out = provider.outbound(method="POST", body=stream(b"he", ConnectionResetError()))
    failed = await client.send(out)
    assert isinstance(failed, Failed)
    assert failed.sent


# ── one request, ever ──


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
@pytest.mark.parametrize("warm", [False, True])
async def test_one_send_is_one_request(
    provider: Provider,
    client: Client,
    method: str,
    warm: bool,  # noqa: FBT001 - a table's column
) -> None:
    """A provider that takes the request and drops the connection has counted it: once."""
    if warm:
        await read(await client.send(provider.outbound()))
    before = len(provider.asked)

    async def drop(met: Met) -> None:
        met.writer.close()

    provider.handler = drop
    failed = await client.send(provider.outbound(method=method))
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.sent) == (Failure.DISCONNECTED, True)
    for _ in range(5):
        await asyncio.sleep(0.001)
    assert len(provider.asked) == before + 1
    assert provider.connections == 1


async def test_connections_are_kept(provider: Provider, client: Client) -> None:
    """A warm connection takes the next request; two at once take two."""
    for _ in range(3):
        await read(await client.send(provider.outbound()))
    assert provider.connections == 1


async def test_a_connection_with_an_answer_nobody_asked_for_is_not_used(
    provider: Provider, client: Client
) -> None:
    """An upstream that says more than it was asked cannot answer the next one's request."""

    async def say(met: Met) -> None:
        met.writer.write(OK)
        if met.number == 1:
            await met.writer.drain()
            await asyncio.sleep(0.01)
            met.writer.write(OK.replace(b"ok", b"NO"))

    provider.handler = say
    assert await read(await client.send(provider.outbound("/1"))) == b"ok"
    [place] = client._warm._places.values()
    [(pooled, _)] = place.idle
    await until(lambda: pooled.protocol is not None and pooled.protocol.should_close)
    assert await read(await client.send(provider.outbound("/2"))) == b"ok"
    assert [met.line.split()[1] for met in provider.asked] == [b"/1", b"/2"]
    assert provider.connections == 2


@pytest.mark.parametrize(
    "data",
    [
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nNO",
        OK + b"trailing garbage",
    ],
)
async def test_a_body_longer_than_it_says_does_not_leak(
    provider: Provider, client: Client, data: bytes
) -> None:
    """The length is taken at its word, and the second exchange gets an answer of its own."""
    says(provider, data)
    assert await read(await client.send(provider.outbound())) == b"ok"
    provider.handler = None
    assert await read(await client.send(provider.outbound())) == b"ok"
    assert provider.connections == 2


async def test_an_unknown_transfer_coding_ends_with_its_connection(
    provider: Provider, client: Client
) -> None:
    """It cannot have been applied, for we never ask for one: the body is what comes."""
    says(provider, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: odd\r\n\r\nab", close=True)
    assert await read(await client.send(provider.outbound())) == b"ab"
    provider.handler = None
    assert await read(await client.send(provider.outbound())) == b"ok"
    assert provider.connections == 2


# ── what comes back ──


async def test_an_answer_is_what_was_said(provider: Provider, client: Client) -> None:
    """Status, reason, end-to-end fields in order; framing and hop-by-hop fields are taken out."""
    says(
        provider,
        b"HTTP/1.1 299 Well, then\r\nX-B: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
        b"x-a: \xe9\r\nSet-Cookie: a=b\r\nKeep-Alive: timeout=5\r\nContent-Encoding: br\r\n"
        b"Content-Length: 2\r\n\r\n??",
    )
    exchange = await client.send(provider.outbound())
    assert not isinstance(exchange, Failed)
    assert (exchange.status, exchange.reason) == (299, "Well, then")
    assert exchange.fields == (
        ("X-B", "1"),
        ("x-a", "é"),
        ("Set-Cookie", "a=b"),
        ("Content-Encoding", "br"),
    )
    assert exchange.content_length == 2
    assert exchange.requested_at <= exchange.received_at
    assert await read(exchange) == b"??"


async def test_redirects_are_answers(provider: Provider, client: Client) -> None:
    """Never followed; Location passes as it was written."""
    says(provider, b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n")
    exchange = await client.send(provider.outbound())
    assert not isinstance(exchange, Failed)
    assert (exchange.status, exchange.fields) == (302, (("Location", "/y"),))
    assert len(provider.asked) == 1


async def test_cookies_are_not_kept(provider: Provider, client: Client) -> None:
    """One bot's session is not another's."""
    says(provider, b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    for _ in range(2):
        await read(await client.send(provider.outbound()))
    assert b"cookie" not in provider.asked[1].head.lower()


@pytest.mark.parametrize(
    ("method", "head"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)
async def test_answers_without_a_body(
    provider: Provider, client: Client, method: str, head: bytes
) -> None:
    """They end with their head, and the connection goes on."""
    says(provider, head)
    for _ in range(2):
        assert await read(await client.send(provider.outbound(method=method))) == b""
    assert provider.connections == 1


async def test_interim_answers_are_told(provider: Provider, client: Client) -> None:
    """1xx but 100, each before the answer; the next request on the connection has its own."""
    told: list[tuple[int, Any]] = []

    async def inform(status: int, fields: Any) -> None:
        told.append((status, fields))

    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    says(provider, interim + OK)
    assert await read(await client.send(provider.outbound(on_informational=inform))) == b"ok"
    assert told == [(103, (("Link", "</a>"),))]
    assert await read(await client.send(provider.outbound())) == b"ok"
    assert len(told) == 1
    assert provider.connections == 1


# ── TLS and outbound proxies ──


async def test_a_ca_bundle_of_its_own(client: Client, tmp_path: Path) -> None:
    """`tls_ca` is whom an upstream's certificate is believed from, and nobody else."""
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    async with providing(tls) as provider:
        out = provider.outbound(upstream={"tls_ca": str(bundle)})
        assert await read(await client.send(out)) == b"ok"
        failed = await client.send(provider.outbound())
        assert isinstance(failed, Failed)
        assert (failed.failure, failed.sent) == (Failure.CONNECT, False)
        missing = await client.send(provider.outbound(upstream={"tls_ca": str(tmp_path / "no")}))
        assert isinstance(missing, Failed)
        assert not missing.sent


async def test_an_outbound_proxy(provider: Provider, client: Client) -> None:
    """Where one is set, the request goes to it, in absolute form."""
    out = provider.outbound('/a?x=["A"]')
    proxied = structs.replace(
        out,
        upstream=replace(
            out.upstream,
            base_url="http://api.example",
            outbound_proxy=f"http://localhost:{provider.port}",
        ),
    )
    assert await read(await client.send(proxied)) == b"ok"
    assert provider.asked[0].line == b'GET http://api.example/a?x=["A"] HTTP/1.1'


async def test_an_outbound_proxy_is_told_who_asks(provider: Provider, client: Client) -> None:
    """With every request, over whichever connection it goes: also one that another route made."""
    out = provider.outbound("/a")
    way = {"outbound_proxy": f"http://bot:secret@localhost:{provider.port}"}
    for path in ("", "/one", "/one", "/two"):
        upstream = replace(out.upstream, base_url=f"http://api.example{path}", **way)
        assert await read(await client.send(structs.replace(out, upstream=upstream))) == b"ok"
    assert provider.connections == 1
    for met in provider.asked:
        assert b"\r\nProxy-Authorization: Basic Ym90OnNlY3JldA==\r\n" in met.head


async def test_an_outbound_proxy_that_refuses(provider: Provider, client: Client) -> None:
    """A tunnel that does not come about sent nothing to the provider."""
    says(provider, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    out = provider.outbound()
    proxied = structs.replace(
        out,
        upstream=replace(
            out.upstream,
            base_url="https://api.example",
            outbound_proxy=f"http://localhost:{provider.port}",
        ),
    )
    failed = await client.send(proxied)
    assert isinstance(failed, Failed)
    assert (failed.failure, failed.sent) == (Failure.CONNECT, False)
