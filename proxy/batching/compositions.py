"""Lists answered from their members: each is asked for by itself, and the answers put together.

A member is an ordinary request with an entry of its own, so a list meets what others asked for
before, and what is missing gathers with what others are missing (`gatherings`). The composed
answer is as old as its oldest part, and its word is that of its least part: a list of nine hits
and one miss is a MISS, one that needed a rescue is RESCUED. Where one member has no good answer,
the provider would have failed the whole list: so the client gets that member's error, and nobody
else does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from proxy.answer import Account, Answer
from proxy.asked import Asked, asked
from proxy.calls import unpacked
from proxy.core import batches
from proxy.core.codings import GZIP
from proxy.core.fields import OF_THE_WHOLE, Fields, without
from proxy.core.model import Policy, Verdict
from proxy.core.routing import Match, Routes
from proxy.core.shapes import Batch
from proxy.ports import BrokenExchangeError

OK = 200
_LEAST = (
    Verdict.REFUSED, Verdict.RESCUED, Verdict.MISS, Verdict.JOINED, Verdict.REVALIDATED,
    Verdict.STALE, Verdict.HIT,
)  # fmt: skip
OF_ONE = frozenset(
    {"if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range", "if-range"}
)
"""Fields about the list as a whole, which has no validators of its own."""

AnswerOne = Callable[[Asked], Awaitable[Answer]]


class Composition(Struct, frozen=True):
    """A list: the requests of its members, in the order asked."""

    ask: Asked
    members: tuple[tuple[str, Asked], ...]

    async def answer(self, answer_one: AnswerOne) -> Answer | None:
        """Ask for every member at once, and put the answers together.

        None: they are of no shape of which a list can be made, so it must be asked for as it is.
        """
        answers = await asyncio.gather(*(answer_one(each) for _, each in self.members))
        for answer in answers:
            if answer.problem is not None or answer.status != OK:
                return answer
        batch = self.ask.match.endpoint.batch
        if batch is None:
            raise TypeError("only an endpoint with a batch has compositions")
        names = [name for name, _ in self.members]
        try:
            contents = [await content(answer) for answer in answers]
            bodies = list(zip(names, contents, strict=True))
            body = batches.compose(batch, bodies, listed=batches.is_list(batch, self.ask.match))
        except (BrokenExchangeError, ValueError, *batches.BROKEN):
            return None
        account = _account(self.ask, answers)
        fields = _fields(answers)
        return Answer(account, OK, answers[-1].reason, fields, body)


def composition(ask: Asked, routes: Routes) -> Composition | None:
    """Return how a request is answered from members; None: it is none, or is left alone."""
    batch, match = ask.match.endpoint.batch, ask.match
    if batch is None or ask.private or match.endpoint.policy is Policy.OBEY:
        return None
    members = batches.members(batch, match)
    if members is None or (len(members) == 1 and _is_own(ask, batch, members[0])):
        return None
    plain = replace(ask.request, fields=without(ask.request.fields, OF_ONE))
    parts = []
    for member in members:
        request = batches.asking(batch, match, plain, (member,))
        route = routes.match(request)
        if not isinstance(route, Match) or route.endpoint is not match.endpoint:
            return None
        parts.append((member, asked(request, route, ask.began, ask.secret)))
    if len(parts) == 1 and parts[0][1].key == ask.key:
        return None
    return Composition(ask, tuple(parts))


def is_member(ask: Asked) -> bool:
    """Return whether a request is that of one member: its fetch can share a call."""
    batch = ask.match.endpoint.batch
    if batch is None or ask.private or ask.match.endpoint.policy is Policy.OBEY:
        return False
    members = batches.members(batch, ask.match)
    if members is None or len(members) != 1:
        return False
    return _is_own(ask, batch, members[0])


def _is_own(ask: Asked, batch: Batch, member: str) -> bool:
    """Whether a request for one member is the member's own: bare where that is its form."""
    return not (batch.single and batches.is_list(batch, ask.match)) and _spelled(ask, member)


def _spelled(ask: Asked, member: str) -> bool:
    """Whether the request spells its member as its entry's key does."""
    pairs = (*ask.match.parameters, *ask.match.variables)
    return any(member in (value, f'["{value}"]') for _, value in pairs) or any(
        value == f'["{member}"]' for _, value in pairs
    )


async def content(answer: Answer) -> bytes:
    """Return an answer's body whole, in its identity form.

    Raises:
        BrokenExchangeError: it did not come whole.
        ValueError: it is not in the form that it claims.

    """
    if isinstance(answer.body, bytes):
        body = answer.body
    else:
        body = b"".join([chunk async for chunk in answer.body])
    if answer.encoding != GZIP or not body:
        return body
    return await unpacked(body)


def _account(ask: Asked, answers: Sequence[Answer]) -> Account:
    accounts = [answer.account for answer in answers]
    least = min(accounts, key=lambda account: _LEAST.index(account.verdict))
    ages = [account.age for account in accounts if account.age is not None]
    lifetimes = [account.ttl for account in accounts if account.ttl is not None]
    fetched = sum(bool(account.forward_reason) for account in accounts)
    shared = f"{len(accounts)} members" + (f", {fetched} fetched" if fetched else "")
    return replace(
        least,
        key=ask.key,
        age=max(ages) if ages else None,
        ttl=min(lifetimes) if lifetimes else None,
        stored=any(account.stored for account in accounts),
        detail=f"{least.detail}, {shared}" if least.detail else shared,
        levels=accounts[-1].levels,
    )


def _fields(answers: Sequence[Answer]) -> Fields:
    """Return the fields of the youngest part, less what describes its own body."""
    youngest = min(answers, key=lambda answer: answer.account.age or 0.0)
    return without(youngest.fields, OF_THE_WHOLE)
