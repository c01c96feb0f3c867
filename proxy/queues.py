"""Waiting for quota: lines of bills in front of a ledger that said "not yet".

There is a line for each set of counts that bills spend from, so that who waits for one limit does
not hold up who needs another. A client's own budget is not waited for: whoever has spent it is told
at once, and leaves the line to the others. One driver a line asks the ledger for the head of it;
`core.waiting` says who that is. Nobody waits who could not be served in time, and a place is left
at once when its caller goes.

The interleaving that `_give` and `_wait` defend against:
    1. the driver asks the ledger for the head of the line;
    2. its caller goes away (or is too late) while the ledger counts;
    3. the ledger grants: nobody takes the grant, and the tokens would be lost until they return.
    So the driver looks after 3 whether the place is still taken, and refunds where it is not; and
    a caller that is cancelled between the grant and its own wake-up refunds it itself.

The interleaving that `_drive` defends against:
    1. the driver asks the ledger, and the ledger raises (a bug, or what it stands on is gone);
    2. the driver ends, and nobody asks for those who stand in its line;
    3. each would wait until its patience ends.
    So the error is told to all of them, and the next who comes begins a driver of its own.
"""

import asyncio
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from proxy.contention import Contention
from proxy.core.backlogs import Waiter
from proxy.core.fair_shares import Standing
from proxy.core.model import Client, Denied
from proxy.core.spending import Bill, Granted, Settled, is_own
from proxy.core.waiting import WaitingLine, earliest
from proxy.ports import Ledger
from proxy.tasks import Tasks
from proxy.urgency import Urgency

UNSENT = Settled(sent=False, answered=False)
NOT_YET = Denied("", 0.0, 0.0)


class Overloaded(Struct, frozen=True):
    """Too many wait for this upstream already."""

    waiting: int


class Patience(Struct, frozen=True):
    """Who asks, how urgently, how long they would wait, and how many may wait at once."""

    client: Client
    priority: int
    max_wait: float
    max_waiting: int
    urgency: Urgency | None = None
    """Of those who may join the wait, where it can be joined."""

    @property
    def level(self) -> int:
        """How urgent it is at present."""
        return self.priority if self.urgency is None else min(self.priority, self.urgency.level)


class _Place:
    """A bill in a line, and what its caller awaits."""

    __slots__ = ("bill", "decided", "waiter")

    def __init__(
        self, bill: Bill, waiter: Waiter, decided: asyncio.Future[Granted | Denied | Overloaded]
    ) -> None:
        self.bill = bill
        self.waiter = waiter
        self.decided = decided

    def granted(self) -> Granted | None:
        """Return the grant that has come, if one has."""
        decided = self.decided
        if not decided.done() or decided.cancelled() or decided.exception() is not None:
            return None
        decision = decided.result()
        return decision if isinstance(decision, Granted) else None


class _Line:
    """One line and what its ledger said last."""

    def __init__(self) -> None:
        self.waiting = WaitingLine()
        self.places: dict[Waiter, _Place] = {}
        self.changed = asyncio.Event()
        self.denied: Denied | None = None
        self.denied_at = 0.0
        self.driver: asyncio.Task[None] | None = None

    def note(self, denied: Denied, now: float) -> None:
        """Keep what the ledger said, and when."""
        self.denied, self.denied_at = denied, now

    def denial(self, now: float) -> Denied | None:
        """Return the last denial with its times brought up to `now`."""
        if self.denied is None:
            return None
        passed = now - self.denied_at
        return replace(
            self.denied,
            retry_after=max(0.0, self.denied.retry_after - passed),
            resets_in=max(0.0, self.denied.resets_in - passed),
        )

    def in_time(self, waiter: Waiter, ahead: float, now: float) -> bool:
        """Whether it could still be served behind `ahead` by its deadline, at the best.

        What others will ask of their shares stands ahead of who has had its own.
        """
        shares = self.waiting.shares
        if shares is None or self.waiting.standing(waiter, now) is Standing.BEHIND:
            return self._comes(waiter.cost + ahead, waiter.deadline)
        wait = max(0.0, min(waiter.deadline, shares.ends) - now)
        claims = shares.claims(waiter.client, waiter.priority, wait, now)
        return self._comes(waiter.cost + ahead + claims, waiter.deadline)

    def _comes(self, needed: float, deadline: float) -> bool:
        denied = self.denied
        if denied is None:
            return True
        if denied.hold and denied.soonest is None:
            return self.denied_at + denied.retry_after <= deadline
        if denied.returns:
            soonest = earliest(denied.returns, needed, denied.again)
            if soonest is None:  # beyond what is foreseen nothing is promised before its end
                soonest = denied.returns[-1][0]
        else:
            soonest = denied.retry_after if denied.soonest is None else denied.soonest
        return self.denied_at + soonest <= deadline


class Queues:
    """The lines of all upstreams of this process."""

    def __init__(self, ledger: Ledger, tasks: Tasks, time: Callable[[], float]) -> None:
        """Take the ledger to ask, where drivers run, and a clock that never steps (seconds)."""
        self._ledger = ledger
        self._tasks = tasks
        self._time = time
        self._lines: dict[tuple[str, ...], _Line] = {}
        self._length: dict[str, int] = {}
        self._contention = Contention(ledger.outlook, time)

    def length(self, upstream: str) -> int:
        """Return how many wait for the upstream's quota."""
        return self._length.get(upstream, 0)

    def changed(self, upstream: str) -> None:
        """Say that the upstream's counts may stand better than they did: ask again now."""
        for name, line in self._lines.items():
            if name[0] == upstream:
                line.changed.set()

    async def spend(self, bill: Bill, patience: Patience) -> Granted | Denied | Overloaded:
        """Spend, waiting for it if need be; a denial comes as soon as it is certain.

        What may touch the reserve does not stand behind those who may not.
        """
        who, level = patience.client, patience.level
        self._contention.ask(bill, who, level)
        line = self._lines.get(_line_of(bill)) if self._lines else None
        if line is None or not len(line.waiting) or bill.urgent:
            kept = self._contention.withheld(bill, who, level)
            decision = kept or self._heard(await self._ledger.spend(bill), bill, who, level)
            if isinstance(decision, Granted):
                self._contention.grant(bill, who, level)
                return decision
            if patience.max_wait <= 0 or is_own(decision.limit):
                return decision
            line = self._lines.get(_line_of(bill)) or _Line()
            line.note(decision, self._time())
        line.waiting.share(self._contention.shares(bill), self._time())
        result = await self._wait(_line_of(bill), line, bill, patience)
        if not isinstance(result, Granted) and not line.waiting.waits(who, level):
            self._contention.miss(bill, who, level)
        return result

    def _heard(
        self, decision: Granted | Denied, bill: Bill, client: Client, priority: int
    ) -> Granted | Denied:
        """Return what the ledger said, having noted a denial."""
        if isinstance(decision, Denied):
            self._contention.denied(bill, decision, client, priority)
        return decision

    async def _wait(
        self, name: tuple[str, ...], line: _Line, bill: Bill, patience: Patience
    ) -> Granted | Denied | Overloaded:
        now = self._time()
        deadline = now + patience.max_wait
        waiter = Waiter(patience.client, patience.level, _cost(bill, line.denied), deadline)
        full = self.length(bill.upstream) >= patience.max_waiting
        last = line.waiting.behind(waiter, now) if full else None
        if full and last is None:
            return Overloaded(self.length(bill.upstream))
        if not line.in_time(waiter, line.waiting.ahead(waiter, now), now):
            return line.denial(now) or NOT_YET
        if last is not None:
            self._oust(line, line.places[last])
        place = self._join(name, line, bill, waiter)
        if patience.urgency is not None:
            patience.urgency.watch(lambda: _promote(line, place, patience.level, self._time()))
        try:
            async with asyncio.timeout(patience.max_wait):
                return await asyncio.shield(place.decided)
        except TimeoutError:
            if (granted := place.granted()) is not None:
                return granted
            return line.denial(self._time()) or NOT_YET
        except asyncio.CancelledError:
            if (granted := place.granted()) is not None:
                self._contention.grant(bill, patience.client, place.waiter.priority, back=True)
                self._tasks.start(self._refund(granted), "refund")
            raise
        finally:
            if patience.urgency is not None:
                patience.urgency.watch(None)
            self._leave(line, place)

    def _oust(self, line: _Line, place: _Place) -> None:
        """Take the last place of a full line away: whoever comes goes before it."""
        line.waiting.leave(place.waiter, self._time())
        if not place.decided.done():
            place.decided.set_result(Overloaded(self.length(place.bill.upstream)))

    def _join(self, name: tuple[str, ...], line: _Line, bill: Bill, waiter: Waiter) -> _Place:
        self._lines[name] = line
        place = _Place(bill, waiter, asyncio.get_running_loop().create_future())
        line.places[waiter] = place
        now = self._time()
        line.waiting.join(waiter, now)
        self._length[bill.upstream] = self.length(bill.upstream) + 1
        if line.driver is not None and line.waiting.head(now) is waiter:
            line.changed.set()  # it may need less than the head before it did
        if line.driver is None:
            line.driver = self._tasks.start(self._drive(name, line), f"line {'/'.join(name)}")
        return place

    def _leave(self, line: _Line, place: _Place) -> None:
        self._length[place.bill.upstream] -= 1
        line.places.pop(place.waiter, None)
        line.waiting.leave(place.waiter, self._time())
        if not place.decided.done():
            place.decided.cancel()
        if not len(line.waiting):
            line.changed.set()  # lets the driver end

    async def _refund(self, granted: Granted) -> None:
        await self._ledger.settle(granted.receipt, UNSENT)
        self.changed(granted.receipt.bill.upstream)

    async def _drive(self, name: tuple[str, ...], line: _Line) -> None:
        try:
            await self._pause(line, line.denied or NOT_YET)
            while (head := line.waiting.head(self._time())) is not None:
                line.changed.clear()
                place = line.places[head]
                bill, who, level = place.bill, head.client, head.priority
                kept = self._contention.withheld(bill, who, level)
                decision = kept or self._heard(await self._ledger.spend(bill), bill, who, level)
                if isinstance(decision, Granted):
                    await self._give(line, place, decision)
                elif is_own(decision.limit):
                    self._refuse(line, place, decision)
                else:
                    line.note(decision, self._time())
                    self._turn_away(line)
                    await self._pause(line, decision)
        except Exception as error:
            self._fail(line, error)
            raise
        finally:
            line.driver = None
            if self._lines.get(name) is line and not len(line.waiting):
                del self._lines[name]

    async def _give(self, line: _Line, place: _Place, granted: Granted) -> None:
        if place.waiter.gone:
            await self._ledger.settle(granted.receipt, UNSENT)
            return
        waiter = place.waiter
        self._contention.grant(place.bill, waiter.client, waiter.priority)
        line.waiting.served(waiter, self._time())
        place.decided.set_result(granted)

    def _refuse(self, line: _Line, place: _Place, denied: Denied) -> None:
        line.waiting.leave(place.waiter, self._time())
        if not place.decided.done():
            place.decided.set_result(denied)

    def _fail(self, line: _Line, error: Exception) -> None:
        for place in tuple(line.places.values()):
            line.waiting.leave(place.waiter, self._time())
            if not place.decided.done():
                place.decided.set_exception(error)

    def _turn_away(self, line: _Line) -> None:
        """Tell those at the head who cannot be served in time any more."""
        while (head := line.waiting.head(self._time())) is not None:
            if line.in_time(head, 0.0, self._time()):
                return
            self._refuse(line, line.places[head], line.denial(self._time()) or NOT_YET)

    async def _pause(self, line: _Line, denied: Denied) -> None:
        delay = denied.retry_after if denied.soonest is None else denied.soonest
        try:
            async with asyncio.timeout(max(delay, 0.001)):
                await line.changed.wait()
        except TimeoutError:
            return


def _line_of(bill: Bill) -> tuple[str, ...]:
    """Return what names the line in which a bill would wait."""
    shared = (charge.bucket for charge in bill.charges if charge.limit.of != "client")
    return (bill.upstream, *sorted(shared))


def _promote(line: _Line, place: _Place, priority: int, now: float) -> None:
    """Move a place to a more urgent class."""
    before = place.waiter
    if before.gone or before.priority <= priority:
        return
    line.waiting.leave(before, now)
    del line.places[before]
    place.waiter = Waiter(before.client, priority, before.cost, before.deadline)
    line.places[place.waiter] = place
    line.waiting.join(place.waiter, now)
    if line.waiting.head(now) is place.waiter:
        line.changed.set()


def _cost(bill: Bill, denied: Denied | None) -> float:
    """What the bill takes of the limit that stands in the way (else of its dearest)."""
    costs = {charge.limit.name: charge.cost for charge in bill.charges}
    if denied is not None and denied.limit in costs:
        return costs[denied.limit]
    return max(costs.values(), default=1.0)
