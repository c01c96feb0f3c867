"""Problems of the proxy's own: what a refusal says, and when to come back."""

from proxy.answer import Problem
from proxy.core.model import Client, Denied, Refuse, Request
from proxy.core.routing import Match, NoMatch, OutOfBounds
from proxy.core.upstreams import Upstream
from proxy.queues import Overloaded

OVERLOADED_FOR = 1.0
"""Seconds after which an overloaded proxy may be asked again."""


def nowhere(route: NoMatch | OutOfBounds) -> Problem:
    """Return the problem for a request that meets no rule."""
    if isinstance(route, OutOfBounds):
        return Problem(400, "Path out of bounds", route.reason, "path-out-of-bounds")
    title = "No such endpoint" if route.upstream else "No such upstream"
    return Problem(
        404,
        title,
        route.reason,
        "no-such-endpoint" if route.upstream else "no-such-upstream",
        upstream=route.upstream,
        members=(("upstreams", list(route.upstreams)),),
    )


def _of(
    upstream: Upstream, status: int, title: str, detail: str, *members: tuple[str, object]
) -> Problem:
    """Return a problem that names its upstream, in the words that its SDKs read."""
    return Problem(
        status,
        title,
        detail,
        title.lower().replace(" ", "-"),
        upstream=upstream.name,
        retry_after_max=upstream.retry_after_max,
        members=members,
        sdk=upstream.error_body,
    )


def disabled(upstream: Upstream) -> Problem:
    """Return the problem for a provider that needs a key and has none."""
    return _of(upstream, 503, "Upstream disabled", upstream.disabled)


def not_allowed(match: Match, request: Request, methods: frozenset[str]) -> Problem:
    """Return the problem for a method that the endpoint does not let through."""
    allowed = sorted(methods)
    detail = (
        f"{request.method} is not let through to {match.upstream.name}; "
        f"allowed: {', '.join(allowed)}"
    )
    return _of(match.upstream, 405, "Method not allowed", detail, ("allow", allowed))


def client_key_refused(upstream: Upstream, names: tuple[str, ...]) -> Problem:
    """Return the problem for a client's key where the configuration lets none in."""
    detail = f"{upstream.name} is asked with the proxy's own key only; leave out {', '.join(names)}"
    return _of(upstream, 403, "Client credentials refused", detail)


def client_not_let_in(upstream: Upstream, client: Client) -> Problem:
    """Return the problem for a client that may not use this upstream."""
    detail = f"{client.name or 'this client'} may not use {upstream.name}"
    return _of(upstream, 403, "Client not let in", detail)


def overloaded(upstream: Upstream, full: Overloaded) -> Problem:
    """Return the problem for one more than may wait for quota."""
    return Problem(
        503,
        "Overloaded",
        f"{full.waiting} requests wait for {upstream.name}'s quota already",
        "overloaded",
        upstream=upstream.name,
        retry_after=OVERLOADED_FOR,
        retry_after_max=upstream.retry_after_max,
        sdk=upstream.error_body,
    )


def refused(
    upstream: Upstream, refuse: Refuse, denied: Denied | None, *, sent: bool | None = None
) -> Problem:
    """Return the problem that a plan or a settlement ended in.

    `sent` is said of private requests only: whether the provider may have acted on it.
    """
    members: tuple[tuple[str, object], ...] = ()
    if sent is not None:
        members = (("sent", sent), ("outcome", "unknown")) if sent else (("sent", False),)
    return Problem(
        refuse.status,
        refuse.title,
        refuse.detail,
        refuse.kind or "refused",
        upstream=upstream.name,
        limit=denied.limit if denied else "",
        retry_after=denied.retry_after if denied else None,
        retry_after_max=upstream.retry_after_max,
        resets_in=denied.resets_in if denied else None,
        members=members,
        sdk=upstream.error_body,
    )
