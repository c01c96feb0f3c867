"""Wishes: what a client asks of this cache (RFC 9111 section 5.2.1), and what of it is granted.

What spends quota (`no-cache`, `no-store`, a `max-age` or `min-fresh` that a fresh entry does not
meet) is granted only under `obey`, or where the endpoint lets clients refresh. What spends none is
always granted: `only-if-cached`, `max-stale`, and that a `max-age` vetoes what is stale.
An argument that is no number is as if the directive were absent.
"""

import math

from msgspec import Struct

from proxy.core import directives
from proxy.core.fields import Fields
from proxy.core.model import Entry, Policy
from proxy.core.upstreams import Endpoint


class Wishes(Struct, frozen=True):
    """The directives of one request; seconds."""

    only_if_cached: bool = False
    no_cache: bool = False
    no_store: bool = False
    max_age: float | None = None
    min_fresh: float | None = None
    max_stale: float | None = None
    """`inf`: however stale."""

    def unmet(self, entry: Entry, age: float) -> str:
        """Return which directive an entry of this age does not meet; empty where it meets all."""
        if self.no_cache:
            return "no-cache"
        if self.max_age is not None and age > self.max_age:
            return "max-age"
        if self.min_fresh is not None and entry.lifetimes.ttl - age < self.min_fresh:
            return "min-fresh"
        return ""

    def unobeyed(self, entry: Entry, age: float) -> tuple[str, ...]:
        """Return what is said of the directives that giving this entry does not obey."""
        names = (self.unmet(entry, age), "no-store" if self.no_store else "")
        return tuple(f"{name} not obeyed" for name in names if name)

    def allows_stale(self, entry: Entry, age: float) -> bool:
        """Return whether the client says that it takes an entry this stale."""
        return self.max_stale is not None and age - entry.lifetimes.ttl <= self.max_stale

    def vetoes(self, age: float, *, granted: bool, letter: bool) -> bool:
        """Return whether nothing stale may be given.

        `granted`: wishes that spend are granted. `letter`: by RFC 9111, any `max-age` without
        `max-stale` says that the client wants nothing stale.
        """
        if granted and self.no_cache:
            return True
        if self.min_fresh is not None:
            return True
        if self.max_age is None:
            return False
        return age > self.max_age or (letter and self.max_stale is None)


NONE = Wishes()


def wishes(fields: Fields) -> Wishes:
    """Return what a request's Cache-Control asks for."""
    asked = directives.of_request(fields)
    if not asked.members:
        return NONE
    bare_stale = "max-stale" in asked and asked.argument("max-stale") is None
    return Wishes(
        only_if_cached="only-if-cached" in asked,
        no_cache="no-cache" in asked,
        no_store="no-store" in asked,
        max_age=asked.number("max-age"),
        min_fresh=asked.number("min-fresh"),
        max_stale=math.inf if bare_stale else asked.number("max-stale"),
    )


def granted(endpoint: Endpoint) -> bool:
    """Return whether wishes that spend quota are granted."""
    return endpoint.policy is Policy.OBEY or endpoint.client_refresh
