"""Plans: what to do about a request, from what is stored. What comes of it: `settle`.

    age < ttl                            Serve
    < ttl + stale_while_revalidate       ServeThenRefresh
    < ttl + stale_if_error               Fetch, with the entry to fall back on
    else                                 Fetch

- One machine, three policies: they differ in the lifetimes that an entry was stored with, in which
  wishes of a client spend quota, and in that only `obey` negotiates (Vary) and forwards a client's
  conditions, ranges and HEAD where nothing stored can answer them.
- Under `obey` a Fetch names no fallback: only an upstream that fails, never one that is slow, lets
  something stale be given, and `settle` finds it among what is stored.
- `endpoint.max_age` is above all: nothing older is given, stretch and rescue included.
- An entry that seems to come from the future is as if it were not there.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from proxy.core import conditions, freshness, stretching, variants
from proxy.core.fields import first, only
from proxy.core.freshness import Phase
from proxy.core.model import (
    Entry,
    Fetch,
    Forward,
    Plan,
    Policy,
    Refuse,
    Request,
    Serve,
    ServeThenRefresh,
    Verdict,
)
from proxy.core.settlements import settle
from proxy.core.upstreams import Endpoint
from proxy.core.wishes import Wishes, granted, wishes

__all__ = ["ONLY_IF_CACHED", "plan", "settle"]

ONLY_IF_CACHED: Final = Refuse(
    504,
    "Not in the cache",
    "only-if-cached was asked, and nothing that is stored may answer",
    "only-if-cached",
)


class _Question(Struct, frozen=True):
    """A cacheable request, and what is stored for it."""

    endpoint: Endpoint
    request: Request
    wishes: Wishes
    stored: tuple[Entry, ...]
    chosen: Entry | None
    now: float
    stretch: float

    @property
    def obey(self) -> bool:
        return self.endpoint.policy is Policy.OBEY

    def has(self, *names: str) -> bool:
        """Return whether the request carries one of these fields."""
        return any(first(self.request.fields, name) is not None for name in names)


def plan(
    endpoint: Endpoint,
    request: Request,
    stored: tuple[Entry, ...],
    now: float,
    *,
    private: bool,
    stretch: float = 1.0,
) -> Plan:
    """Return what to do about `request`, where `stored` lie under its primary key.

    `stretch` is the factor by which TTLs have grown (see `stretching`).
    """
    if stored or request.method not in _SAFE or only(request.fields, _HEEDED):
        return _made(endpoint, request, stored, now, private=private, stretch=stretch)
    asked = (id(endpoint), request.method, private)
    known = _plain.get(asked)
    if known is None:
        made = _made(endpoint, request, (), now, private=private, stretch=stretch)
        if len(_plain) >= _MOST_PLAIN:
            _plain.clear()
        known = _plain[asked] = (endpoint, made)
    return known[1]


_SAFE: Final = frozenset({"GET", "HEAD"})
_HEEDED: Final = (
    frozenset({"authorization", "cache-control", "range"})
    | conditions.CONDITIONAL
    | conditions.ORIGIN_ALONE
)
"""Fields that a plan depends on."""
_MOST_PLAIN: Final = 4096
_plain: Final[dict[tuple[int, str, bool], tuple[Endpoint, Plan]]] = {}
"""Plans for what has nothing stored, of a GET or HEAD that carries none of these fields: they
depend on the endpoint, the method and whether it is private, and on nothing else. The endpoint is
held, so that no other has its id."""


def _made(
    endpoint: Endpoint,
    request: Request,
    stored: tuple[Entry, ...],
    now: float,
    *,
    private: bool,
    stretch: float,
) -> Plan:
    asked = wishes(request.fields)
    forward = _forward(endpoint, request, asked, private=private)
    if forward is not None:
        return ONLY_IF_CACHED if asked.only_if_cached and not private else forward
    present = tuple(
        entry
        for entry in stored
        if variants.INDEX not in entry.flags and not freshness.from_future(entry, now)
    )
    obey = endpoint.policy is Policy.OBEY
    chosen = variants.select(present, request) if obey else next(iter(present), None)
    question = _Question(endpoint, request, asked, present, chosen, now, stretch)
    if chosen is None:
        return _missing(question)
    return _unobeyed(question, _stored(question, chosen))


def _forward(
    endpoint: Endpoint, request: Request, asked: Wishes, *, private: bool
) -> Forward | None:
    """Return the plan for a request that no cache answers, or None where one may."""
    obey = endpoint.policy is Policy.OBEY
    by_body = endpoint.cache_body and request.method == "POST" and request.body is not None
    if request.method not in {"GET", "HEAD"} and not by_body:
        storable = obey and request.method == "POST" and not (endpoint.live or endpoint.private)
        return Forward("method", private=private, storable=storable)
    if private or endpoint.private:
        return Forward("bypass", "private", private=True)
    if endpoint.live:
        return Forward("bypass", "live")
    if not obey and endpoint.ttl in {None, 0}:
        return Forward("bypass", "ttl 0")
    why = _own_matter(endpoint, request, asked)
    return Forward("request", why) if why else None


def _own_matter(endpoint: Endpoint, request: Request, asked: Wishes) -> str:
    """Return what in the request is between client and origin alone; empty where nothing is."""
    if asked.no_store and granted(endpoint):
        return "no-store"
    conditional = any(first(request.fields, name) for name in conditions.ORIGIN_ALONE)
    return "condition" if conditional and endpoint.policy is Policy.OBEY else ""


# ── Nothing stored ──


def _missing(question: _Question) -> Plan:
    if question.wishes.only_if_cached:
        return ONLY_IF_CACHED
    if question.obey and question.has("range"):
        return Forward("request", "range")
    asked = conditions.validators(question.stored, None)
    return Fetch(
        validators=asked,
        stored=question.stored,
        forward_reason="vary-miss" if question.stored else "uri-miss",
        joinable=_joinable(question),
        method=_method(question),
    )


def _method(question: _Question) -> str:
    """Return the method to send where it is another: what GET brings can be stored, HEAD's not."""
    return "GET" if question.request.method == "HEAD" and not question.obey else ""


def _joinable(question: _Question) -> bool:
    """Return whether the upstream's answer can be everyone's: under `obey` fields go through."""
    if not question.obey:
        return True
    own = question.has("authorization", "range", "if-none-match", "if-modified-since")
    return question.request.method != "HEAD" and not own


# ── Something stored ──


def _stored(question: _Question, entry: Entry) -> Plan:
    endpoint, asked = question.endpoint, question.wishes
    age = entry.age(question.now)
    too_old = endpoint.max_age is not None and age > endpoint.max_age
    lives = stretching.stretched(endpoint, entry, question.stretch)
    phase = Phase.EXPIRED if too_old else freshness.phase(lives, age)
    unmet = asked.unmet(entry, age) if granted(endpoint) else ""
    if phase is Phase.FRESH and not unmet:
        return Serve(entry, Verdict.HIT)
    vetoed = asked.vetoes(age, granted=granted(endpoint), letter=question.obey)
    if not (phase is Phase.FRESH or vetoed or too_old) and (
        served := _stale(question, entry, phase, age)
    ):
        return served
    if asked.only_if_cached:
        return ONLY_IF_CACHED
    # By the letter a slow origin is no reason for anything stale: `settle` alone falls back.
    usable = phase in {Phase.STALE, Phase.FALLBACK} and not vetoed and not question.obey
    return _fetch(question, entry, entry if usable else None, unmet)


def _stale(question: _Question, entry: Entry, phase: Phase, age: float) -> Plan | None:
    """Return the plan that gives a stale entry now, or None where it may not be given."""
    asked = question.wishes
    if phase is Phase.STALE:
        if asked.only_if_cached:
            return Serve(entry, Verdict.STALE, "only-if-cached")
        return ServeThenRefresh(entry, conditions.validators(question.stored, entry))
    forbidden = freshness.MUST_REVALIDATE in entry.flags
    if not forbidden and asked.allows_stale(entry, age):
        return Serve(entry, Verdict.STALE, "max-stale")
    return None


def _fetch(question: _Question, entry: Entry, fallback: Entry | None, wish: str = "") -> Fetch:
    fresh = entry.age(question.now) < entry.lifetimes.ttl
    return Fetch(
        validators=conditions.validators(question.stored, entry),
        stored=question.stored,
        fallback=fallback,
        forward_reason="request" if wish and fresh else "stale",
        detail=wish,
        joinable=_joinable(question),
        method=_method(question),
    )


def _unobeyed(question: _Question, made: Plan) -> Plan:
    """Return the plan with what was asked and not granted said in its detail."""
    if granted(question.endpoint) or not isinstance(made, Serve | ServeThenRefresh):
        return made
    refused = question.wishes.unobeyed(made.entry, made.entry.age(question.now))
    if not refused:
        return made
    return replace(made, detail=", ".join([made.detail, *refused] if made.detail else refused))
