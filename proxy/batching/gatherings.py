"""Members that are missing gather into one call, for endpoints whose requests can share one.

The first call leaves at once. What is asked for while it is under way, or while quota is awaited,
goes together, up to the provider's maximum; a call takes along whoever has come until it leaves,
and members that will be asked for again soon (`lists`), as long as that costs no more than was
granted. Where quota is scarce it stays a while for others to come (`spacing`).

One bad member spoils a call for several (an error, or a reply that cannot be cut up): the call is
halved and made again until the bad one stands alone, gets its own error, and the others theirs. A
member that the provider leaves out is asked for by itself, once. What concerns everybody (429, a
failure, a server's error) is everybody's answer, and is not tried again.

The interleaving that `_leave` defends against:
    1. all who waited for a call that awaits quota go away;
    2. the quota is granted.
    So the last to leave ends the wait, and what is granted meanwhile is refunded (`queues`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import structs
from msgspec.structs import replace

from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.batching.lists import PLACEHOLDER, Lists, batch_of, spent
from proxy.batching.riders import Rider, Riders
from proxy.batching.spacing import Spacing
from proxy.calls import Answered, Call, CallResult, Calls, unpacked
from proxy.core import batches
from proxy.core.codings import GZIP
from proxy.core.fields import OF_THE_WHOLE, without
from proxy.core.model import Failed, Failure, Fetch
from proxy.core.shapes import Batch
from proxy.tasks import Tasks
from proxy.urgency import Urgency

OK = 200
SPOILT = frozenset({400, 404, 414, 422})
"""What one member can bring upon a call; all else concerns everybody."""
TOO_LARGE = Failed(Failure.PROTOCOL, sent=True, detail="too large an answer to a shared call")


class Leaving(Protocol):
    """A flight, as far as gatherings care."""

    sent: bool
    urgency: Urgency


@dataclass(eq=False, slots=True)
class _Wanted:
    """A member, for whom it is fetched, and what its flight awaits."""

    member: str
    asked: Asked
    plan: Fetch
    flight: Leaving
    came: "asyncio.Future[CallResult]"
    again: bool = False
    """It was left out of a shared reply, and is asked for by itself now."""


@dataclass(eq=False, slots=True)
class _Gathering:
    """Members of one list that go together, and the calls that are still to be made."""

    open: dict[str, _Wanted] = field(default_factory=dict)
    """Who waits for the next call."""
    halves: deque[list[_Wanted]] = field(default_factory=deque)
    """Calls that must be made again for fewer."""
    leaving: list[_Wanted] = field(default_factory=list)
    """Whom the present call is for."""
    riding: dict[str, Rider] = field(default_factory=dict)
    """Who goes along, for nobody."""
    sent: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody comes or goes."""
    calling: "asyncio.Task[None] | None" = None
    driver: "asyncio.Task[None] | None" = None


@dataclass(frozen=True, slots=True)
class GatheringParts:
    """What gatherings stand on."""

    calls: Calls
    tasks: Tasks
    prepared: Callable[[Asked, Fetch], Call]
    """Prepares the call for a request."""
    lists: Lists
    riders: Riders
    spacing: Spacing
    kept: Callable[[Asked, Answered], None]
    """Stores what came for a rider."""


class Gatherings:
    """The gatherings of this process, by what their requests have in common."""

    def __init__(self, parts: GatheringParts) -> None:
        self._calls = parts.calls
        self._tasks = parts.tasks
        self._prepared = parts.prepared
        self._lists = parts.lists
        self._riders = parts.riders
        self._spacing = parts.spacing
        self._kept = parts.kept
        self._gatherings: dict[str, _Gathering] = {}

    async def call(self, flight: Leaving, ask: Asked, plan: Fetch) -> CallResult:
        """Return what the provider answers for one member, alone or from a shared call."""
        found = batches.members(batch_of(ask), ask.match) or (PLACEHOLDER,)
        name = self._lists.family(ask)
        self._riders.note(name, found[0], ask)
        gathering = self._gatherings.setdefault(name, _Gathering())
        came: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
        wanted = _Wanted(found[0], ask, plan, flight, came)
        if gathering.sent and wanted.member in gathering.riding:
            del gathering.riding[wanted.member]  # it is on its way already
            gathering.leaving.append(wanted)
            flight.sent = True
        else:
            gathering.open[wanted.member] = wanted
            gathering.changed.set()
        if gathering.driver is None:
            gathering.driver = self._tasks.start(self._drive(name, gathering), f"gather {name}")
        try:
            return await came
        finally:
            _leave(gathering, wanted)

    async def _drive(self, name: str, gathering: _Gathering) -> None:
        """Make one call after the other until nobody is left who wants one."""
        try:
            while await self._ready(gathering):
                gathering.leaving, gathering.sent = _next(gathering), False
                gathering.riding = {}
                if gathering.leaving:
                    gathering.calling = self._tasks.start(
                        self._one(name, gathering), f"call {name}"
                    )
                    with contextlib.suppress(asyncio.CancelledError):
                        await asyncio.shield(gathering.calling)
                    _unanswered(gathering)
        finally:
            self._gatherings.pop(name, None)
            for each in (*gathering.leaving, *gathering.open.values()):
                each.came.cancel()

    async def _ready(self, gathering: _Gathering) -> bool:
        """Wait until the next call may leave; return whether anybody still wants one."""
        while gathering.open and not gathering.halves:
            asks = [each.asked for each in gathering.open.values()]
            wait = self._spacing.wait(asks[0].bill(), asks)
            if wait <= 0 or len(asks) >= batch_of(asks[0]).most:  # a full one waits for nobody
                break
            gathering.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await gathering.changed.wait()
        return bool(gathering.halves or gathering.open)

    async def _one(self, name: str, gathering: _Gathering) -> None:
        """Make one call, and give each for whom it was made what is its own."""
        first = gathering.leaving[0].asked
        riders = self._companions(name, gathering.leaving)
        if not riders and self._lists.is_cheaper_alone(first, len(gathering.leaving)):
            gathering.halves += [[each] for each in gathering.leaving]
            return
        call = self._planned(gathering.leaving, riders)

        def on_sent() -> Call:
            extended = self._extended(name, gathering, call, riders)
            gathering.sent = True
            self._spacing.sent(extended.bill)
            for each in gathering.leaving:
                each.flight.sent = True
            return extended

        result = await self._calls.make(call, on_sent)
        leaving, riding = gathering.leaving, tuple(gathering.riding)
        if len(leaving) + len(riding) == 1:
            _give(leaving[0], result)
            return
        if isinstance(result, Answered) and isinstance(result.body, Arrival):
            result.body.release()
            result = (
                structs.replace(result, body=b"", encoding="") if _is_spoilt(result) else TOO_LARGE
            )
        members = tuple(each.member for each in leaving)
        parts = await _parts(batch_of(leaving[0].asked), result, members, riding)
        if parts is None and _is_spoilt(result):
            self._riders.forget(name)
            gathering.halves += [leaving] if riding else _halved(leaving)
            return
        self._give_all(gathering, result, parts)

    def _give_all(
        self, gathering: _Gathering, result: CallResult, parts: dict[str, Answered] | None
    ) -> None:
        """Give each its part, or all the same where there are none; riders' parts are stored."""
        for each in gathering.leaving:
            own = result if parts is None else parts.get(each.member)
            if own is None:  # left out: what that means, its own reply says
                gathering.halves.append([each])
            else:
                _give(each, own)
        riding, gathering.riding = gathering.riding, {}
        for member, rider in riding.items():
            if parts is not None and member in parts:
                self._kept(rider.asked, parts[member])

    # ── The calls ──

    def _companions(self, name: str, leaving: list[_Wanted]) -> list[Rider]:
        """Return who rides along with a call for these; with none that is made again."""
        members = tuple(each.member for each in leaving)
        again = leaving[0].again
        return [] if again else self._lists.riders(name, leaving[0].asked, members)

    def _extended(self, name: str, gathering: _Gathering, call: Call, riders: list[Rider]) -> Call:
        """Return the call with those who came meanwhile, if it costs no more than was granted."""
        leaving, came = gathering.leaving, gathering.open
        chosen = (leaving, riders, call)
        if came and not leaving[0].again:
            room = max(0, batch_of(leaving[0].asked).most - len(leaving))
            more = [*leaving, *list(came.values())[:room]]
            for others in (self._companions(name, more), []):
                extended = self._planned(more, others)
                if spent(extended.bill) <= spent(call.bill):
                    chosen = (more, others, extended)
                    break
        taken, riders, call = chosen
        joined = [came[each.member] for each in riders if each.member in came]
        gathering.leaving = [*taken, *joined]
        for each in gathering.leaving:
            came.pop(each.member, None)
        known = {each.member for each in gathering.leaving}
        gathering.riding = {each.member: each for each in riders if each.member not in known}
        return call

    def _planned(self, leaving: list[_Wanted], riders: list[Rider]) -> Call:
        """Return the call for these members, as urgent and as patient as any who waits for it."""
        first = leaving[0]
        urgency = first.flight.urgency if len(leaving) == 1 else None
        members = (*(each.member for each in leaving), *(each.member for each in riders))
        if len(members) == 1:
            call = self._prepared(first.asked, first.plan)
            return structs.replace(call, patience=replace(call.patience, urgency=urgency))
        call = self._prepared(self._lists.cheapest(first.asked, members), Fetch())
        wishes = [each.asked.patience(waits=True) for each in leaving]
        return structs.replace(
            call,
            patience=replace(
                call.patience,
                priority=min(
                    *(wish.priority for wish in wishes),
                    *(each.flight.urgency.level for each in leaving),
                ),
                max_wait=max(wish.max_wait for wish in wishes),
                urgency=urgency,
            ),
            deadline=max(each.asked.deadline for each in leaving),
            buffer=call.keep,
            buffer_unknown=call.keep,
        )


def _next(gathering: _Gathering) -> list[_Wanted]:
    """Take out those for whom the next call is made."""
    if gathering.halves:
        half = [each for each in gathering.halves.popleft() if not each.came.done()]
        for each in half:
            each.again = True
        return half
    batch = batch_of(next(iter(gathering.open.values())).asked)
    chosen = list(gathering.open.values())[: batch.most]
    for each in chosen:
        del gathering.open[each.member]
    return chosen


def _halved(leaving: list[_Wanted]) -> list[list[_Wanted]]:
    half = len(leaving) // 2
    return [leaving[:half], leaving[half:]]


def _leave(gathering: _Gathering, wanted: _Wanted) -> None:
    """Forget one whose flight has ended; the last of them ends a call that awaits quota."""
    if gathering.open.get(wanted.member) is wanted:
        del gathering.open[wanted.member]
        gathering.changed.set()
    waits = any(not each.came.done() for each in gathering.leaving)
    if not gathering.sent and not waits and gathering.calling is not None:
        gathering.calling.cancel()


def _give(wanted: _Wanted, result: CallResult) -> None:
    """Give one its result; what nobody takes any more holds no connection."""
    if not wanted.came.done():
        wanted.came.set_result(result)
    elif isinstance(result, Answered) and isinstance(result.body, Arrival):
        result.body.release()


def _unanswered(gathering: _Gathering) -> None:
    """Tell those whom a call that failed by a bug of ours has left behind."""
    pending = {id(each) for half in gathering.halves for each in half}
    for each in gathering.leaving:
        if not each.came.done() and id(each) not in pending:
            failed = Failed(
                Failure.PROTOCOL, sent=gathering.sent, detail="the call came to nothing"
            )
            each.came.set_result(failed)


def _is_spoilt(result: CallResult) -> bool:
    """Whether one member may be to blame: an error of the request's, or a reply of no shape."""
    return isinstance(result, Answered) and (
        result.status in SPOILT or (result.status == OK and not result.rejected)
    )


async def _parts(
    batch: Batch, result: CallResult, members: tuple[str, ...], riding: tuple[str, ...]
) -> dict[str, Answered] | None:
    """Return each member's own answer; None: there are none to be had from this one."""
    if not isinstance(result, Answered) or result.status != OK or result.rejected:
        return None
    body = result.body if isinstance(result.body, bytes) else b""
    content = await unpacked(body) if result.encoding == GZIP else body
    parts = batches.split(batch, content, members, bare=False, riding=riding)
    if parts is None:
        return None
    fields = without(result.fields, OF_THE_WHOLE)
    return {
        member: structs.replace(
            result, body=part, fields=fields, encoding="", content_length=len(part)
        )
        for member, part in parts.items()
    }
