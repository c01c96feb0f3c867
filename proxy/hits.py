"""The shortest way: hits of the first level, for requests that were answered from it before.

A request that says nothing special (no condition, range, cache directive, credential) is answered
again as the last one like it was, for as long as the entry in the first level is the very same and
fresh: the answer is made anew once a second, when Age and RateLimit change, and shared in between.
Where the first level does not hold the entry (it is small, or off), the store is asked each time;
what it gives is the very same as long as nothing else was stored (`store.decoded`).
Nothing is decided here: what is not known, or not so any more, goes the ordinary way, which is
where it is learnt. Under `obey` nothing is learnt (any field may select a variant).

What an answer depends on, and where that stands:
    listener, Host, target, Accept, fields that an endpoint keys    `_Head`
    the client, where it is a configured one                        never learnt
    configuration                                                   `configure()` at each reload
    the entry                                                       looked up again, each time,
                                                                    in the store where need be
    time                                                            `Hit.until`
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from msgspec.structs import replace

from proxy.accounts import STRETCHED, Accounts
from proxy.answer import Answer
from proxy.asked import Asked
from proxy.core.model import Entry, Policy, Request, Verdict
from proxy.core.privacy import SIGNATURE_HEADERS, TOKEN_HEADERS
from proxy.core.upstreams import Upstream
from proxy.forms import UNKEPT, Forms
from proxy.freshening.heats import Heat
from proxy.observation import Counter, Observer
from proxy.ports import FirstLevel

MOST: Final = 65_536
"""Heads known; the one that was learnt first makes room."""

_OBJECTS: Final = 1024
"""Bytes that a hit takes beside its texts: the request, what it met, the answer of the moment. The
fields are of its client's other requests too."""

MOST_PASSING: Final = 1024
MOST_PASSING_BYTES: Final = 8 * 1024 * 1024
"""Known heads, and bytes of the entries they stand for, that the first level does not hold."""

LONGEST: Final = 2048
"""Characters of a target that is worth knowing."""

_SPECIAL: Final = frozenset(
    {
        "cache-control", "if-match", "if-modified-since", "if-none-match", "if-range",
        "if-unmodified-since", "pragma", "range",
    }
) | TOKEN_HEADERS | SIGNATURE_HEADERS  # fmt: skip
"""Fields that may ask for something else than the stored answer: never the shortest way."""

_PLAIN: Final = frozenset({"", STRETCHED})
"""Details of what any client would have got."""

_Head: TypeAlias = tuple[object, ...]


class Hit:
    """A request that is known, and its answer as of now: a form of the entry that it is from."""

    __slots__ = (
        "_forget", "answer", "asked", "counter", "depends_on", "entry", "head", "heat", "passing",
        "size", "until",
    )  # fmt: skip

    def __init__(
        self,
        asked: Asked,
        entry: Entry,
        counter: Counter,
        depends_on: frozenset[str],
        heat: Heat | None = None,
        head: _Head = (),
        forget: Callable[["Hit"], None] | None = None,
    ) -> None:
        self.head = head
        self.passing = False
        """The first level does not hold its entry: the store must be asked for it."""
        self._forget = forget
        self.size = 4 * (len(asked.request.path) + len(asked.request.query)) + _OBJECTS
        """Bytes beside the entry."""
        self.asked = asked
        self.entry = entry
        self.counter = counter
        self.heat = heat
        """Where its uses are counted, if it is refreshed ahead."""
        self.depends_on = depends_on
        """Lower-case names of the request fields that tell it from another; those of one
        configuration, by which it is also known that it is of another than the present one."""
        self.answer: Answer | None = None
        self.until = 0.0
        """Time of the entries' clock from which on `answer` must be made anew, or is none."""

    def gone(self) -> None:
        """Be known no more: the entry is not held."""
        if self._forget is not None:
            self._forget(self)


class Hits:
    """Known requests of this process."""

    def __init__(
        self,
        first_level: FirstLevel,
        accounts: Accounts,
        observer: Observer,
        forms: Forms = UNKEPT,
    ) -> None:
        """Take where entries are, what makes answers, who counts, and where hits are counted."""
        self._forms = forms
        self.changes = first_level.changes
        """Whatever could end a known hit before its time: what is stored, and the configuration."""
        self._first_level = first_level
        self._accounts = accounts
        self._observer = observer
        self._known: OrderedDict[_Head, Hit] = OrderedDict()
        self._passing: OrderedDict[_Head, Hit] = OrderedDict()
        self._passing_bytes = 0
        self._keyed: frozenset[str] = frozenset()
        self._special = _SPECIAL

    def configure(self, upstreams: Iterable[Upstream]) -> None:
        """Forget all, and learn which fields matter to these upstreams."""
        self.changes.count += 1
        for hit in tuple(self._known.values()):
            self._forget(hit)
        self._passing.clear()
        self._passing_bytes = 0
        keyed, special = {"accept"}, set(_SPECIAL)
        for upstream in upstreams:
            special |= upstream.private_headers | upstream.secret_headers
            if upstream.credentials.header:
                special.add(upstream.credentials.header.lower())
            for endpoint in upstream.endpoints:
                keyed |= {name.lower() for name in endpoint.headers}
        self._keyed, self._special = frozenset(keyed), frozenset(special)

    def find(self, request: Request) -> Hit | None:
        """Return the hit that a request is known to be; whether it is one now, `answer` says."""
        head = self._head(request)
        return None if head is None else self._known.get(head) or self._passing.get(head)

    def answer(self, hit: Hit, now: float) -> Answer | None:
        """Return the answer as of `now`, and count it; None: not a hit any more."""
        return self.answer_from(hit, self._first_level.get(hit.entry.key), now)

    def answer_from(
        self, hit: Hit, entry: Entry | None, now: float, took: float = 0.0
    ) -> Answer | None:
        """Return the answer from what is stored for it, which it `took` so many seconds to get."""
        if entry is hit.entry and hit.depends_on is self._keyed:
            if hit.heat is not None:
                hit.heat.hits += 1
            if now < hit.until:
                hit.counter.hit(entry.initial_age + now - entry.received_at, took)
                return hit.answer
            age, most = entry.age(now), hit.asked.match.endpoint.max_age
            ttl = self._accounts.stretches.lifetimes(hit.asked.match, entry, now).ttl
            left = (ttl if most is None else min(ttl, most)) - age
            if left > 0:
                hit.answer = self._accounts.entry(hit.asked, entry, Verdict.HIT, now)
                hit.until = now + min(1.0 - age % 1.0, left)
                hit.counter.hit(age, took)
                return hit.answer
        return None

    def count(self, hit: Hit, times: int) -> None:
        """Count further hits that had the present answer."""
        if hit.heat is not None:
            hit.heat.hits += times
        if hit.answer is not None and hit.answer.account.age is not None:
            hit.counter.hit(hit.answer.account.age, times=times)

    def learn(self, asked: Asked, answer: Answer, heat: Heat | None = None) -> None:
        """Remember a request that was answered from a fresh entry just now."""
        entry, request = answer.entry, asked.request
        if entry is None or answer.account.verdict is not Verdict.HIT:
            return
        if answer.account.detail not in _PLAIN:
            return
        if asked.match.endpoint.policy is Policy.OBEY or request.client.name:
            return  # a configured client's requests are counted one by one
        head = self._head(request)
        if head is None:
            return
        account = answer.account
        counter = self._observer.endpoint(account.upstream, account.endpoint)
        known = self._known.get(head)
        if known is not None:
            self._forget(known)
        if request.inform is not None:  # it would keep the client's connection with the hit
            asked = replace(asked, request=replace(request, inform=None))
        hit = Hit(asked, entry, counter, self._keyed, heat, head, self._forget)
        self._unpass(head)
        if self._first_level.get(entry.key) is not entry:
            self._pass(hit)
            return
        self._known[head] = hit  # before it is kept: it may hear at once that it is gone
        self._forms.keep(entry, hit)
        while len(self._known) > MOST:
            self._forget(next(iter(self._known.values())))

    def _forget(self, hit: Hit) -> None:
        if self._known.get(hit.head) is hit:
            del self._known[hit.head]
        self._forms.drop(hit.entry, hit)

    def _pass(self, hit: Hit) -> None:
        hit.passing = True
        self._passing[hit.head] = hit
        self._passing_bytes += len(hit.entry.body) + hit.size
        while len(self._passing) > MOST_PASSING or self._passing_bytes > MOST_PASSING_BYTES:
            self._unpass(next(iter(self._passing)))

    def _unpass(self, head: _Head) -> None:
        hit = self._passing.pop(head, None)
        if hit is not None:
            self._passing_bytes -= len(hit.entry.body) + hit.size

    def _head(self, request: Request) -> _Head | None:
        """Return all of a request that its answer may depend on; None: the ordinary way."""
        if request.method != "GET" or request.has_body or request.client.name:
            return None
        if len(request.path) + len(request.query) > LONGEST:
            return None
        said: list[tuple[str, str]] = []
        for name, value in request.fields:
            lowered = name.lower()
            if lowered in self._special:
                return None
            if lowered in self._keyed:
                said.append((lowered, value))
        return (
            request.path,
            request.query,
            request.host,
            request.port,
            *said,
        )
