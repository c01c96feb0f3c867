"""The sandbox as one object: every provider, one port for all, a port for each where asked.

async with Sandbox(limits={"binance": [Limit("weight", 100, 6.0)]}) as sandbox:
    sandbox.base_url("binance")        # http://127.0.0.1:PORT/binance
    sandbox.counts("binance").requests
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Self, TypeAlias

from aiohttp import web

from proxy import clock
from proxy.sandbox.control import CONTROL, controlled
from proxy.sandbox.counts import Counts, Received
from proxy.sandbox.faults import Fault, Faults, Latency
from proxy.sandbox.limits import Ban, Enforcer, Limit
from proxy.sandbox.market import Market
from proxy.sandbox.providers.catalogue import PROVIDERS
from proxy.sandbox.service import Service

Handler: TypeAlias = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Sandbox:
    """Simulated providers on loopback; starts on entry, stops on exit."""

    def __init__(
        self,
        providers: Iterable[str] = tuple(PROVIDERS),
        limits: Mapping[str, Iterable[Limit]] | None = None,
        *,
        latency: Latency | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        own_ports: bool | Mapping[str, int] = False,
        seed: int = 0,
        step: float = 1.0,
        frozen_at: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare the providers named.

        Args:
            providers: which to serve; see `PROVIDERS`.
            limits: in place of a provider's own, by provider.
            latency: of all providers.
            host: address to listen on.
            port: of the common listener; 0 takes a free one.
            own_ports: give every provider a port of its own too (True: free ones), or those named.
            seed: of the market and of latency's jitter.
            step: seconds for which prices stand still.
            frozen_at: Unix time at which the market stands still altogether.
            tls: serve HTTPS.

        """
        self.market = Market(seed, step=step)
        self.market.frozen_at = frozen_at
        self.services = {
            name: Service(PROVIDERS[name], self.market, clock.wall, seed) for name in providers
        }
        for name, own in (limits or {}).items():
            self.set_limits(name, own)
        for service in self.services.values():
            service.latency = latency or Latency()
        free = dict.fromkeys(self.services, 0) if own_ports else {}
        self._wanted_ports = dict(own_ports) if isinstance(own_ports, Mapping) else free
        self._host, self._port, self._tls = host, port, tls
        self._ports: dict[str, int] = {}
        self._runners: list[web.ServerRunner] = []

    async def __aenter__(self) -> Self:
        try:
            self._port = await self._listen(self._all, self._port)
            for name, port in self._wanted_ports.items():
                self._ports[name] = await self._listen(self._only(name), port)
        except OSError:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for service in self.services.values():
            service.ended.set()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()

    @property
    def port(self) -> int:
        """Port of the common listener."""
        return self._port

    @property
    def origin(self) -> str:
        """Scheme, host and port of the common listener."""
        return self._origin(self._port)

    def base_url(self, provider: str, *, own_port: bool = False) -> str:
        """Return the base URL of a provider: under the common port, or at its own."""
        if own_port:
            return self._origin(self._ports[provider])
        return f"{self.origin}/{self.services[provider].provider.name}"

    def environment(self) -> dict[str, str]:
        """Return the variables that point the shipped configuration at this sandbox.

        A provider with a port of its own is met there.
        """
        return {
            service.provider.variable: self.base_url(name, own_port=name in self._ports)
            for name, service in self.services.items()
        }

    def counts(self, provider: str) -> Counts:
        """Return what a provider saw since the last reset."""
        return self.services[provider].counts

    async def seen(self, provider: str, requests: int) -> None:
        """Return once a provider has counted so many requests since the last reset."""
        await self.services[provider].seen(requests)

    def received(self, provider: str) -> list[Received]:
        """Return the last requests of a provider, to the byte, oldest first."""
        return list(self.services[provider].counts.received)

    def used(self, provider: str) -> dict[str, dict[str, int]]:
        """Return what is spent of each limit now, by spender."""
        return self.services[provider].enforcer.used(clock.wall())

    def spend(self, provider: str, limit: str, amount: int, address: str = "127.0.0.1") -> None:
        """Spend of a limit as a foreign program on that address would."""
        self.services[provider].enforcer.spend(limit, amount, address, clock.wall())

    def set_limits(self, provider: str, limits: Iterable[Limit], ban: Ban | None = None) -> None:
        """Enforce other limits from now on (a ban only where one is given)."""
        self.services[provider].enforcer = Enforcer(limits, ban)

    def set_latency(self, provider: str, latency: Latency) -> None:
        """Answer later, or sooner, from now on."""
        self.services[provider].latency = latency

    def fault(
        self, provider: str, kind: Faults | str, times: int | None = None, path: str = ""
    ) -> None:
        """Let the next `times` requests (None: all) below `path` go wrong."""
        self.services[provider].faults.append(Fault(kind, times, path))

    def mend(self, provider: str) -> None:
        """Take all faults away."""
        self.services[provider].faults.clear()

    def reset(self, *providers: str) -> None:
        """Forget counts, spends and bans, of the providers named or of all."""
        for name in providers or self.services:
            self.services[name].reset()

    def freeze(self, at: float | None) -> None:
        """Let the market stand still at a moment (Unix time), or move again (None)."""
        self.market.frozen_at = at

    def _origin(self, port: int) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{port}"

    async def _listen(self, handler: Handler, port: int) -> int:
        # A hanging answer is cut off at the end, not waited for.
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, self._host, port, ssl_context=self._tls, backlog=1024)
        await site.start()
        bound: int = runner.addresses[0][1]
        return bound

    async def _all(self, request: web.BaseRequest) -> web.StreamResponse:
        """Serve the common port: the first segment names the provider."""
        name, _, rest = request.raw_path.lstrip("/").partition("/")
        if name == CONTROL:
            return await controlled(self, request, rest)
        if (service := self.services.get(name)) is None:
            return web.json_response({"providers": list(self.services)}, status=404)
        return await service.handle(request, f"/{rest}", self.base_url(name))

    def _only(self, name: str) -> Handler:
        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            origin = self.base_url(name, own_port=True)
            return await self.services[name].handle(request, request.raw_path, origin)

        return handler


async def run_sandbox(
    host: str = "127.0.0.1",
    port: int = 9090,
    *,
    own_ports: bool = False,
    latency: float = 0.0,
    say: Callable[[str], None] = print,
) -> None:
    """Serve all providers until cancelled; says each base URL, as `VARIABLE=URL` lines.

    Args:
        host: address to listen on.
        port: of the common listener; with `own_ports`, each provider takes one of the next.
        own_ports: give every provider a port of its own too.
        latency: mean seconds that an answer takes, give or take a half.
        say: takes a line.

    Raises:
        OSError: a port is taken.

    """
    ports = {name: port + place for place, name in enumerate(PROVIDERS, 1)} if own_ports else {}
    drawn = Latency(mean=latency, jitter=latency / 2)
    async with Sandbox(host=host, port=port, own_ports=ports, latency=drawn) as sandbox:
        for name, value in sandbox.environment().items():
            say(f"{name}={value}")
        say(f"# control: {sandbox.origin}/{CONTROL}/")
        await asyncio.Event().wait()
