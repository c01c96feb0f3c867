"""A flow over a scripted upstream and a ledger that grants what the test allows: all in memory."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from proxy.accounts import Accounts
from proxy.answer import Answer
from proxy.cache import Cache
from proxy.calls import CallParts, Calls
from proxy.changes import Changes
from proxy.core.fields import Fields
from proxy.core.model import ANONYMOUS, Client, Denied, Entry, Failed, Failure, Policy, Request
from proxy.core.routing import Routes, parse_template
from proxy.core.spending import Bill, Granted, Level, Receipt, Settled
from proxy.core.upstreams import Algorithm, Credentials, Endpoint, Limit, Upstream
from proxy.fetches import Fetches, Landing
from proxy.fleet.alone import Alone
from proxy.flights import Flights
from proxy.flow import Flow, FlowParts
from proxy.forwards import Forwards
from proxy.hits import Hits
from proxy.observation import CallObservation, HoldObservation, Observation, StoreObservation
from proxy.ports import BrokenExchangeError, Exchange, Fleet, Outbound
from proxy.queues import Queues
from proxy.tasks import Tasks
from tests.values import replace

JSON: Fields = (("Content-Type", "application/json"),)


@dataclass
class Response:
    """A scripted answer; also the exchange that carries it."""

    status: int = 200
    parts: tuple[bytes, ...] = (b'{"price":1}',)
    fields: Fields = JSON
    broken: bool = False
    gate: asyncio.Event | None = None
    """Holds the head back until the test sets it."""
    reason: str = "OK"
    requested_at: float = 0.0
    received_at: float = 0.0
    aborted: bool = False
    length_known: bool = True
    pause: asyncio.Event | None = None
    """Holds the rest of the body back, after its first part, until the test sets it."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the first part of the body has been taken."""

    @property
    def content_length(self) -> int | None:
        return sum(map(len, self.parts)) if self.length_known else None

    async def body(self) -> AsyncIterator[bytes]:
        for position, part in enumerate(self.parts):
            if position == 1:
                self.reached.set()
                if self.pause is not None:
                    await self.pause.wait()
            yield part
        if self.broken:
            raise BrokenExchangeError(Failure.PROTOCOL, "cut short")

    def arrived(self) -> bytes | None:
        return None

    def abort(self) -> None:
        self.aborted = True


@dataclass
class ScriptedUpstream:
    """Answers what the test lined up, the last of it again and again."""

    now: Callable[[], float]
    answers: deque[Response | Failed] = field(default_factory=lambda: deque([Response()]))
    sent: list[Outbound] = field(default_factory=list)
    exchanges: list[Response] = field(default_factory=list)

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        self.sent.append(outbound)
        answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Failed):
            return answer
        if answer.gate is not None:
            await answer.gate.wait()
        exchange = replace(answer, requested_at=self.now(), received_at=self.now())
        self.exchanges.append(exchange)
        return exchange


@dataclass
class OpenLedger:
    """Grants while there are tokens; `None` is any number."""

    tokens: float | None = None
    denial: Denied = field(default_factory=lambda: Denied("minute", 30.0, 60.0))
    spent: list[Bill] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    held: float = 0.0
    tasks: Tasks = field(default_factory=lambda: Tasks(lambda *_: None))
    """Where settlements run."""

    async def spend(self, bill: Bill) -> Granted | Denied:
        cost = sum(charge.cost for charge in bill.charges)
        if self.tokens is not None:
            if cost > self.tokens:
                return self.denial
            self.tokens -= cost
        self.spent.append(bill)
        return Granted(Receipt(str(len(self.spent)), bill))

    async def settle(self, receipt: Receipt, settled: Settled) -> None:
        self.settled.append(settled)
        if not settled.sent and self.tokens is not None:
            self.tokens += sum(charge.cost for charge in receipt.bill.charges)
        if settled.hold is not None:
            self.held = settled.hold.seconds or settled.hold.first

    def settle_soon(
        self, receipt: Receipt, settled: Settled, counted: Callable[[str], None]
    ) -> None:
        async def settle() -> None:
            await self.settle(receipt, settled)
            counted(receipt.bill.upstream)

        self.tasks.start(settle(), "settle")

    def levels(self, _upstream: str) -> tuple[Level, ...]:
        return (Level("minute", "minute", 30, len(self.spent), 60.0),)

    def outlook(self, _upstream: str, _bucket: str) -> None:
        return None

    def held_for(self, _upstream: str) -> float:
        return self.held


class DictLevel:
    """A first level without bounds, and a store alike."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.entries: dict[str, Entry] = {}

    def get(self, key: str) -> Entry | None:
        return self.entries.get(key)

    def put(self, entry: Entry) -> None:
        self.changes.count += 1
        self.entries[entry.key] = entry

    def delete(self, key: str) -> None:
        self.changes.count += 1
        self.entries.pop(key, None)


class DictStore:
    """A store that forgets nothing."""

    def __init__(self) -> None:
        self.level = DictLevel()

    async def get(self, key: str) -> Entry | None:
        return self.level.get(key)

    async def put(self, entry: Entry, _keep: float) -> None:
        self.level.put(entry)

    async def delete(self, key: str) -> None:
        self.level.delete(key)


@dataclass
class Recorder:
    """Keeps what it is told."""

    observations: list[Observation] = field(default_factory=list)
    calls: list[CallObservation] = field(default_factory=list)
    holds: list[HoldObservation] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    hits: int = 0

    def endpoint(self, _upstream: str, _endpoint: str) -> "Recorder":
        return self

    def hit(self, _age: float, _duration: float = 0.0, times: int = 1) -> None:
        self.hits += times

    def observe(self, observation: Observation) -> None:
        self.observations.append(observation)

    def observe_call(self, call: CallObservation) -> None:
        self.calls.append(call)

    def observe_wait(self, _upstream: str, seconds: float) -> None:
        self.waits.append(seconds)

    def observe_refusal(self, _upstream: str, reason: str) -> None:
        self.refusals.append(reason)

    def observe_hold(self, hold: HoldObservation) -> None:
        self.holds.append(hold)

    def observe_store(self, operation: StoreObservation) -> None:
        del operation


def endpoint(name: str, path: str, **settings: object) -> Endpoint:
    settings.setdefault("ttl", 60.0)
    return Endpoint(name, "coingecko", path, parse_template(path), **settings)  # type: ignore[arg-type]  # a test's own keywords


PRICE = endpoint("price", "/price", stale_while_revalidate=30.0, stale_if_error=600.0)
LIMIT = Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW)


def upstream(*endpoints: Endpoint, **settings: object) -> Upstream:
    unmatched = endpoint("unmatched", "/{rest:path}", ttl=0.0)
    given: dict[str, object] = {
        "limits": (LIMIT,),
        "credentials": Credentials(header="x-cg-demo-api-key", value="own-key"),
        "secret_headers": frozenset({"x-cg-demo-api-key"}),
        **settings,
    }
    return Upstream(
        "coingecko",
        "http://provider",
        "/coingecko",
        endpoints or (PRICE,),
        unmatched,
        **given,  # type: ignore[arg-type]  # likewise
    )


class House:
    """A flow and everything beneath it, with a clock that the test turns."""

    def __init__(
        self,
        *upstreams: Upstream,
        fleet: Fleet | None = None,
        store: DictStore | None = None,
        ledger: OpenLedger | None = None,
    ) -> None:
        self.clock = 1_000_000.0
        self.errors: list[BaseException] = []
        self.tasks = Tasks(lambda _, error: self.errors.append(error))
        self.ledger = ledger or OpenLedger()
        self.ledger.tasks = self.tasks
        self.provider = ScriptedUpstream(lambda: self.clock)
        self.store = store or DictStore()
        self.first_level = DictLevel()
        self.recorder = Recorder()
        time = asyncio.get_running_loop().time
        self.queues = Queues(self.ledger, self.tasks, time)
        cache = Cache(self.first_level, self.store, self.tasks)
        self.calls = Calls(
            CallParts(
                queues=self.queues,
                ledger=self.ledger,
                client=self.provider,
                observer=self.recorder,
                tasks=self.tasks,
                time=time,
                wall=lambda: self.clock,
            )
        )
        flights: Flights[Landing] = Flights(self.tasks)
        accounts = Accounts(self.ledger)
        parts = FlowParts(
            cache=cache,
            flights=flights,
            fetches=Fetches(
                self.calls, cache, self.tasks, time, lambda: self.clock, fleet or Alone()
            ),
            forwards=Forwards(self.calls, cache, self.tasks, lambda: self.clock),
            accounts=accounts,
            hits=Hits(self.first_level, accounts, self.recorder),
            observer=self.recorder,
            time=time,
            now=lambda: self.clock,
            secret=b"secret",
        )
        self.flow = Flow(parts, Routes(upstreams or (upstream(),)))

    async def ask(
        self,
        target: str = "/coingecko/price?ids=bitcoin",
        fields: Fields = (),
        method: str = "GET",
        body: AsyncIterator[bytes] | None = None,
        client: Client = ANONYMOUS,
    ) -> Answer:
        path, _, query = target.partition("?")
        request = Request(
            method, path, query, fields, "proxy", 8080, client, has_body=body is not None
        )
        return await self.flow.serve(request, body)

    async def settle_down(self) -> None:
        """Let everything that runs behind answers end."""
        while len(self.tasks):  # noqa: ASYNC110 - a plain figure, no event
            await asyncio.sleep(0)

    async def close(self) -> None:
        await self.tasks.close()


__all__ = ["House", "Policy", "Response", "endpoint", "upstream"]


def verdict(answer: Answer) -> str:
    """Return the word for what happened."""
    return answer.account.verdict.value


async def content(answer: Answer) -> bytes:
    """Return an answer's whole body."""
    if isinstance(answer.body, bytes):
        return answer.body
    return b"".join([chunk async for chunk in answer.body])


def at_once(flow: Flow, request: Request) -> Answer | None:
    """Answer a known hit as the front does, without asking anybody; None: it is none."""
    hit = flow.known(request)
    return None if hit is None else flow.again(hit)
