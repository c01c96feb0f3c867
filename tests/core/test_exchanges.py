"""Whole exchanges, fuzzed: an origin, a store, clients and a clock around plan and settle.

The oracle is written apart from the code it checks: what each kind of reply allows stands in a
table of figures. After any history, whatever is served

- was made by the origin for this very target and, where it negotiated, for this very selection;
- is no older than its verdict, the operator, the origin and the client allow;
- carries no cookie that the origin set for another (unless `obey` lets it);
- was no failure: what broke, was rejected or, under `ignore`, went wrong is never stored.
"""

import os
from dataclasses import dataclass, field
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.core import plans, variants
from proxy.core.dates import format_date
from proxy.core.fields import Fields, first
from proxy.core.model import (
    Denied,
    Entry,
    Failed,
    Failure,
    Fetch,
    Fetched,
    Forward,
    Invalidate,
    Lifetimes,
    Nothing,
    Outcome,
    Policy,
    Put,
    Refuse,
    Reply,
    Request,
    Serve,
    ServeThenRefresh,
    Settlement,
    Touch,
    Verdict,
    Write,
)
from proxy.core.presentation import present
from proxy.core.upstreams import Endpoint

LONG: Final = "QUOTA_PROXY_LONG" in os.environ
OWN: Final = Lifetimes(60.0, stale_while_revalidate=30.0, stale_if_error=600.0)
AWAY: Final = 86400.0


@dataclass(frozen=True)
class Told:
    """What a Cache-Control allows under `obey`: seconds, and whether a shared cache may store."""

    ttl: float | None = None
    """None: it says nothing of it."""
    swr: float = 0.0
    sie: float = AWAY
    storable: bool = True
    forbids: bool = False


CONTROLS: Final[dict[str, Told]] = {
    "": Told(sie=0.0),
    "max-age=20": Told(20.0),
    "max-age=200": Told(200.0),
    "max-age=20, stale-while-revalidate=10": Told(20.0, swr=10.0),
    "max-age=20, stale-if-error=40": Told(20.0, sie=40.0),
    "max-age=20, must-revalidate": Told(20.0, sie=0.0, forbids=True),
    "s-maxage=20": Told(20.0, sie=0.0, forbids=True),
    "no-cache": Told(0.0, sie=0.0, forbids=True),
    "max-age=20, private": Told(20.0, storable=False),
    "no-store": Told(storable=False),
}
WISHES: Final[dict[str, tuple[float | None, float | None]]] = {
    # a client's Cache-Control: its max-age, its max-stale
    "": (None, None),
    "max-age=5": (5.0, None),
    "max-age=70": (70.0, None),
    "max-stale=100": (None, 100.0),
    "only-if-cached": (None, None),
    "no-cache": (None, None),
    "min-fresh=10": (None, None),
}
SELECTIONS: Final = ("", "1", "2")
LATER: Final = (0.0, 0.0, 1.0, 7.0, 19.0, 25.0, 45.0, 61.0, 100.0, 700.0)
FAILURES: Final = (
    "timeout", "denied", "hold", "broken", "500", "503", "429", "rejected", "another",
)  # fmt: skip
"""`another`: a 304 whose tag is of nothing that is stored."""


@dataclass
class Made:
    """A representation that the origin made."""

    path: str
    selection: str | None
    """For whom, where it negotiated; None: for all."""
    cookie: str
    good: bool
    generated_at: float
    """When it was made, or last confirmed, less its Age."""
    status: int
    control: str = ""


@dataclass
class Origin:
    """Makes representations, each with a body of its own, and remembers what it said of them."""

    made: dict[str, Made] = field(default_factory=dict)

    def answer(
        self, request: Request, validators: Fields, now: float, *, status: int, control: str,
        vary: bool, age: int, confirm: bool, rejected: bool,
    ) -> Fetched:  # fmt: skip
        """Answer truthfully: 304 only where what the cache names still holds for this request."""
        selection = first(request.fields, "foo") or ""
        named = [tag.strip(' "') for tag in (first(validators, "if-none-match") or "").split(",")]
        fields: list[tuple[str, str]] = [("Date", format_date(now)), ("Age", str(age))]
        fields += [("Cache-Control", control)] if control else []
        for name in named if confirm and not rejected else ():
            held = self.made.get(name)
            if held and held.good and held.selection in {None, selection}:
                # What a 304 does not say stands as it stood (RFC 9111 section 3.2).
                held.generated_at, held.control = now - age, control or held.control
                return self._fetched(304, [*fields, ("ETag", f'"{name}"')], b"", now, "")
        name = f"r{len(self.made)}"
        good = status in {200, 404} and not rejected
        cookie = f"owner={name}"
        at = now - age
        self.made[name] = Made(
            request.path, selection if vary else None, cookie, good, at, status, control
        )
        fields += [("ETag", f'"{name}"'), ("Set-Cookie", cookie)]
        fields += [("Content-Type", "application/json"), *([("Vary", "Foo")] if vary else [])]
        return self._fetched(status, fields, name.encode(), now, "x" if rejected else "")

    @staticmethod
    def _fetched(
        status: int, fields: list[tuple[str, str]], body: bytes, now: float, rejected: str
    ) -> Fetched:
        return Fetched(Reply(status, "", tuple(fields), body), now, now, rejected)


class Exchanges(RuleBasedStateMachine):
    """One endpoint, two targets, a few clients."""

    @initialize(policy=st.sampled_from(Policy), max_age=st.sampled_from([None, 75.0]))
    def begin(self, policy: Policy, max_age: float | None) -> None:
        """Choose what the operator configured."""
        self.policy = policy
        self.max_age = max_age
        self.endpoint = Endpoint("e", "u", "/x", (), policy=policy, ttl=60.0, max_age=max_age)
        self.now = 1_763_000_000.0
        self.origin = Origin()
        self.store: dict[str, Entry] = {}

    @rule(
        later=st.sampled_from(LATER),
        path=st.sampled_from(["/a", "/b"]),
        selection=st.sampled_from(SELECTIONS),
        wish=st.sampled_from(sorted(WISHES)),
        outcome=st.sampled_from(["200"] * 4 + ["404", *FAILURES]),
        control=st.sampled_from(sorted(CONTROLS)),
        vary=st.booleans(),
        age=st.sampled_from([0, 0, 5]),
        confirm=st.booleans(),
    )
    def ask(
        self, later: float, path: str, selection: str, wish: str, outcome: str, control: str, *,
        vary: bool, age: int, confirm: bool,
    ) -> None:  # fmt: skip
        """Ask as a client does; the origin would answer so, were it asked."""
        self.now += later
        fields = (("Foo", selection),) if selection else ()
        fields += (("Cache-Control", wish),) if wish else ()
        request = Request("GET", path, "", fields, host="o")
        # Under ignore and cap what is not keyed is not sent: the origin cannot negotiate by it.
        vary = vary and self.policy is Policy.OBEY
        stored = self.stored(path)
        plan = plans.plan(self.endpoint, request, stored, self.now, private=False)
        answer = (outcome, control, vary, age, confirm)
        match plan:
            case Serve(entry, verdict):
                self.check(request, entry, verdict)
            case ServeThenRefresh(entry, validators):
                self.check(request, entry, Verdict.STALE)
                self.fetch(request, Fetch(validators, stored), *answer)
            case Fetch():
                settlement = self.fetch(request, plan, *answer)
                self.check(request, settlement.reply, settlement.verdict)
                if settlement.shareable and isinstance(settlement.shared, Entry):
                    self.check_cookie(settlement.shared)
            case Forward():
                raise AssertionError("no wish here is between client and origin alone")
            case Refuse(status):
                assert (status, wish) == (504, "only-if-cached")

    @rule(path=st.sampled_from(["/a", "/b"]), other=st.booleans())
    def change(self, path: str, *, other: bool) -> None:
        """Change something at the origin by a POST that succeeds."""
        request = Request("POST", path, "", (), host="o")
        fields = (("Location", "/b"),) if other else ()
        outcome = Fetched(Reply(200, "", fields, b""), self.now, self.now)
        self.write(self.settle(request, Forward("method"), outcome, "").write)
        gone = {path, "/b"} if other else {path}

        assert not gone & self.store.keys()

    @invariant()
    def nothing_broken_is_stored(self) -> None:
        """Look at all that is kept, served or not."""
        for entry in getattr(self, "store", {}).values():
            if variants.INDEX in entry.flags:
                continue
            made = self.origin.made[entry.body.decode()]
            assert made.good or self.policy is Policy.OBEY
            assert made.status == entry.status
            self.check_cookie(entry)

    # ── The flow, in small ──

    def stored(self, key: str) -> tuple[Entry, ...]:
        """Read what lies under a primary key, as the cache does."""
        entry = self.store.get(key)
        if entry is None:
            return ()
        if variants.INDEX not in entry.flags:
            return (entry,)
        found = (self.store.get(each) for each in variants.listed(entry))
        return tuple(each for each in found if each is not None)

    def write(self, write: Write) -> None:
        """Do what a settlement says."""
        match write:
            case Put(entry, index):
                self.store[entry.key] = entry
                if index is not None:
                    self.store[index.key] = index
            case Touch(entry):
                self.store[entry.key] = entry
            case Invalidate(targets):
                for target in targets:
                    self.store.pop(target.removeprefix("http://o"), None)
            case Nothing():
                pass

    def settle(
        self, request: Request, plan: Fetch | Forward, outcome: Outcome, key: str
    ) -> Settlement:
        """Settle as the flow does."""
        return plans.settle(self.endpoint, request, plan, outcome, OWN, key, self.now)

    def fetch(
        self, request: Request, plan: Fetch, outcome: str, control: str, vary: bool, age: int,  # noqa: FBT001 - a row of the origin's answer
        confirm: bool,  # noqa: FBT001 - likewise
    ) -> Settlement:  # fmt: skip
        """Ask the origin, settle and write."""
        came: Outcome
        match outcome:
            case "timeout":
                came = Failed(Failure.TIMEOUT, sent=True)
            case "broken":
                came = Failed(Failure.PROTOCOL, sent=True)
            case "denied" | "hold":
                came = Denied(outcome, 5.0, 9.0, hold=outcome == "hold")
            case "another":
                came = self.another(plan, control, age)
            case _:
                came = self.origin.answer(
                    request, plan.validators, self.now, control=control, vary=vary, age=age,
                    confirm=confirm and outcome == "200", rejected=outcome == "rejected",
                    status=200 if outcome == "rejected" else int(outcome),
                )  # fmt: skip
        settlement = self.settle(request, plan, came, request.path)
        if outcome == "another" and self.policy is Policy.OBEY:
            assert isinstance(settlement.write, Nothing)
        self.write(settlement.write)
        return settlement

    def another(self, plan: Fetch, control: str, age: int) -> Fetched:
        """Confirm something else; but for `obey` that is taken for what was asked about."""
        if plan.validators and self.policy is not Policy.OBEY:
            held = self.origin.made[plan.stored[0].body.decode()]
            held.generated_at, held.control = self.now - age, control or held.control
        fields = (("Date", format_date(self.now)), ("Age", str(age)), ("ETag", '"another"'))
        fields += (("Cache-Control", control),) if control else ()
        return Fetched(Reply(304, "", fields, b""), self.now, self.now)

    # ── The oracle ──

    def check(self, request: Request, given: Entry | Reply | Refuse, verdict: Verdict) -> None:
        """Hold one answer to all that was promised."""
        if isinstance(given, Refuse):
            return
        reply = present(given, request, self.now) if isinstance(given, Entry) else given
        made = self.origin.made[reply.body.decode()]
        assert made.path == request.path
        assert made.selection in {None, first(request.fields, "foo") or ""}
        if verdict is Verdict.MISS:
            return
        assert made.good or self.policy is Policy.OBEY
        if isinstance(given, Entry):
            self.check_cookie(given)
        if verdict is not Verdict.REVALIDATED:
            self.check_age(request, made, verdict)

    def check_cookie(self, entry: Entry) -> None:
        """See that no cookie is kept for others."""
        if self.policy is not Policy.OBEY:
            assert first(entry.fields, "set-cookie") is None

    def check_age(self, request: Request, made: Made, verdict: Verdict) -> None:
        """Hold an age to verdict, operator, origin and client."""
        age = self.now - made.generated_at
        told = self.allowed(made)
        max_age, max_stale = WISHES[first(request.fields, "cache-control") or ""]
        assert self.max_age is None or age <= self.max_age
        ttl = told.ttl or 0.0
        match verdict:
            case Verdict.HIT:
                assert age < ttl
                assert self.policy is not Policy.OBEY or max_age is None or age <= max_age
            case Verdict.STALE:
                within = age < ttl + told.swr
                taken = not told.forbids and age - ttl <= (max_stale or -1.0)
                assert within or taken
                assert max_age is None or age <= max_age
            case Verdict.RESCUED:
                assert age < ttl + told.sie
                assert max_age is None or age <= max_age
            case _:
                raise AssertionError(verdict)

    def allowed(self, made: Made) -> Told:
        """Return what may be done with a representation, by the operator's and origin's words."""
        told = CONTROLS[made.control]
        if self.policy is Policy.OBEY:
            return told
        negative = made.status == 404
        own = Told(30.0, 0.0, 0.0) if negative else Told(60.0, 30.0, 600.0)
        if self.policy is Policy.IGNORE:
            return own
        ttl = own.ttl if told.ttl is None else min(own.ttl or 0.0, told.ttl)
        if told.forbids:
            return Told(ttl, 0.0, 0.0, forbids=True)
        return Told(ttl, own.swr, own.sie)


Exchanges.TestCase.settings = settings(
    max_examples=3000 if LONG else 150, stateful_step_count=50 if LONG else 30, deadline=None
)
TestExchanges = Exchanges.TestCase
