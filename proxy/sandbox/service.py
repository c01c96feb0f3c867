"""HTTP around one simulated provider: count, answer, wait, and go wrong where told to.

The order within a request: way (latency before arrival) → `down` → counted, or refused →
answered from the market of that moment → faults → latency → sent. A request is counted when its
head and body have arrived, whether its client stays for the answer or not.
"""

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from random import Random

from aiohttp import web
from multidict import CIMultiDict

from proxy.core.fields import Fields, first, replaced
from proxy.sandbox.counts import Counts, Received
from proxy.sandbox.faults import Fault, Faults, Latency, struck
from proxy.sandbox.limits import Counted, Enforcer, Refused, Spending
from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Provider, Reply, Route, query_of

COMPRESSED_FROM = 1024
PAGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"


class Service:
    """One provider, served."""

    def __init__(
        self, provider: Provider, market: Market, clock: Callable[[], float], seed: int
    ) -> None:
        self.provider = provider
        self.latency = Latency()
        self.faults: list[Fault] = []
        self.counts = Counts()
        self.enforcer = Enforcer(provider.limits, provider.ban)
        self.ended = asyncio.Event()
        """Set at the end, so that nothing hangs longer than the sandbox lives."""
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._market = market
        self._clock = clock
        self._random = Random(seed)  # noqa: S311 - latency, drawn alike in every run

    async def handle(
        self, request: web.BaseRequest, target: str, origin: str
    ) -> web.StreamResponse:
        """Answer one request; `target` is its path and query less the sandbox's own prefix."""
        body = await request.read()
        if delay := self.latency.way(self._random):
            await asyncio.sleep(delay)
        path = target.partition("?")[0]
        if struck(self.faults, path, before=True):
            self.counts.turned_away += 1
            return _closed(request)
        call = Call(
            method=request.method, target=target, path=path, query=query_of(target),
            fields=_fields(request), body=body, address=request.remote or "", now=self._clock(),
            origin=origin,
        )  # fmt: skip
        reply = self._answer(call)
        fault = struck(self.faults, path, before=False)
        self._note(call, reply, fault)
        if delay := self.latency.answer(self._random):
            await asyncio.sleep(delay)
        return await self._sent(request, reply, fault)

    async def seen(self, requests: int) -> None:
        """Return once so many requests have been counted since the last reset."""
        if self.counts.requests < requests:
            told = asyncio.get_running_loop().create_future()
            self._waiting.append((requests, told))
            await told

    def reset(self) -> None:
        """Forget what was counted, spent and banned; limits, latency and faults stay."""
        self.counts = Counts()
        self.enforcer = Enforcer(self.enforcer.limits, self.enforcer.ban)

    def _answer(self, call: Call) -> Reply:
        """Answer a call that has just arrived, and count it."""
        met = self.provider.route(call.method, call.path)
        route, names = met if met is not None else (None, {})
        estimate = self._spending(call, route, route.charge(call) if route else 1)
        call = replace(
            call, names=names, standing=lambda: self.enforcer.standing(estimate, call.now)
        )
        reply = route.answer(call, self._market) if route else self.provider.missing(call)
        cost = estimate.cost if reply.cost is None else reply.cost
        if reply.status >= HTTPStatus.BAD_REQUEST and not self.provider.charge_errors:
            cost = 0
        verdict = self.enforcer.enter(self._spending(call, route, cost), call.now)
        match verdict:
            case Refused():
                reply = self.provider.refusal(call, verdict)
                self.counts.refused += 1
                self.counts.banned += verdict.banned_until is not None
            case Counted():
                self.counts.granted += 1
                self.counts.spent += cost
                self.counts.granted_arrivals.append(call.now)
        usage = self.provider.usage(call, verdict)
        return _dressed(reply, self.provider.head(call, reply) + usage, call)

    def _spending(self, call: Call, route: Route | None, cost: int) -> Spending:
        groups = route.groups if route else ()
        key = self.provider.credential(call)
        return Spending(call.address, key, route.path if route else call.path, groups, cost)

    def _note(self, call: Call, reply: Reply, fault: Faults | None) -> None:
        status = reply.status if fault is None else 0
        self.counts.requests += 1
        self.counts.by_path[call.path] += 1
        self.counts.by_status[status] += 1
        self.counts.arrivals.append(call.now)
        self.counts.received.append(
            Received(call.now, call.method, call.target, call.fields, call.body, status)
        )
        for requests, told in self._waiting:
            if requests <= self.counts.requests and not told.done():
                told.set_result(None)
        self._waiting = [(count, told) for count, told in self._waiting if not told.done()]

    async def _sent(
        self, request: web.BaseRequest, reply: Reply, fault: Faults | None
    ) -> web.StreamResponse:
        match fault:
            case None:
                return _response(reply)
            case Faults.ERROR | Faults.UNAVAILABLE | Faults.CHALLENGE:
                status = {Faults.ERROR: 500, Faults.UNAVAILABLE: 503}.get(fault, 200)
                return web.Response(body=PAGE, status=status, content_type="text/html")
            case Faults.HANG:
                await self.ended.wait()
            case Faults.GARBAGE:
                _write(request, b"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\xff" * 8)
            case Faults.HALF:
                return await _halved(request, reply)
            case Faults.DROP | Faults.DOWN:
                pass
        return _closed(request)


def _fields(request: web.BaseRequest) -> Fields:
    return tuple((name.decode(), value.decode("latin-1")) for name, value in request.raw_headers)


def _dressed(reply: Reply, fields: Fields, call: Call) -> Reply:
    """Return the reply as it goes out: the provider's fields, 304 and gzip where they apply."""
    fields = replaced(reply.fields, fields)
    etag, known = first(fields, "etag"), call.field("if-none-match")
    if etag and reply.status == HTTPStatus.OK and (known == "*" or etag in known):
        return replace(reply, body=b"", status=304, fields=fields)
    if len(reply.body) < COMPRESSED_FROM or "gzip" not in call.field("accept-encoding"):
        return replace(reply, fields=fields)
    coded = (*fields, ("Content-Encoding", "gzip"))
    return replace(reply, body=gzip.compress(reply.body, 1, mtime=0), fields=coded)


def _response(reply: Reply) -> web.Response:
    headers = CIMultiDict(reply.fields)
    headers["Content-Type"] = reply.content_type
    return web.Response(body=reply.body, status=reply.status, headers=headers)


def _write(request: web.BaseRequest, data: bytes) -> None:
    if request.transport is not None:
        request.transport.write(data)


def _closed(request: web.BaseRequest) -> web.Response:
    """Close the connection; what is returned reaches nobody."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _halved(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Promise the whole body, send half of it, and close."""
    headers = CIMultiDict(reply.fields)
    headers["Content-Type"], headers["Content-Length"] = reply.content_type, str(len(reply.body))
    response = web.StreamResponse(status=reply.status, headers=headers)
    await response.prepare(request)
    await response.write(reply.body[: len(reply.body) // 2])
    return _closed(request)
