"""Lists composed from their members: their word, their age, and what is left alone."""

import json
from collections.abc import AsyncIterator

import pytest

from proxy.asked import Asked, asked
from proxy.batching.compositions import composition, is_member
from proxy.core.model import Policy, Request
from proxy.core.routing import Match, Routes
from proxy.core.shapes import Batch, Case, ListForm
from tests.house import House, endpoint, upstream
from tests.values import replace

GECKO = upstream(
    endpoint("price", "/price", batch=Batch("ids", most=3), stale_while_revalidate=30.0),
    endpoint("ticker", "/ticker", batch=Batch("symbols", form=ListForm.JSON, single="symbol")),
    endpoint("tokens", "/tokens/{addresses}", batch=Batch("addresses", in_path=True,
                                                          case=Case.HEX)),
    endpoint("obedient", "/obedient", batch=Batch("ids"), policy=Policy.OBEY),
)  # fmt: skip
ROUTES = Routes((GECKO,))


def ask(target: str) -> Asked:
    path, _, query = target.partition("?")
    request = Request("GET", f"/coingecko{path}", query, ())
    route = ROUTES.match(request)
    assert isinstance(route, Match)
    return asked(request, route, 0.0, b"")


@pytest.mark.parametrize(
    ("target", "member", "composed"),
    [
        ("/price?ids=a", True, False),
        ("/price?ids=a,b", False, True),
        ("/price?ids=a,b,c,d", False, False),
        ("/price", False, False),
        ("/ticker?symbol=A", True, False),
        ('/ticker?symbols=["A"]', False, True),
        ("/tokens/0xab", True, False),
        ("/tokens/0xAB", False, True),
        ("/obedient?ids=a,b", False, False),
        ("/price?ids=a,b&signature=x", False, False),
    ],
)
def test_which_requests_are_composed(target: str, member: bool, composed: bool) -> None:  # noqa: FBT001 - a table's columns
    """A member is fetched, a list is composed, and what is neither is left alone."""
    assert member is is_member(ask(target))
    assert composed is (composition(ask(target), ROUTES) is not None)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House(GECKO)
    yield built
    await built.close()


async def test_as_old_as_its_oldest_part(house: House) -> None:
    """Age is the oldest member's, and the freshness left is the shortest."""
    provider = house.provider.answers[0]
    house.provider.answers[0] = replace(provider, parts=(b'{"a":{"usd":1}}',))  # type: ignore[type-var]  # a Response
    await house.ask("/coingecko/price?ids=a")
    house.clock += 20
    house.provider.answers[0] = replace(provider, parts=(b'{"b":{"usd":2}}',))  # type: ignore[type-var]  # likewise
    await house.ask("/coingecko/price?ids=b")
    house.clock += 5
    answer = await house.ask("/coingecko/price?ids=a,b")

    assert ("HIT", 25.0, 35.0) == (
        answer.account.verdict.value,
        answer.account.age,
        answer.account.ttl,
    )
    assert "2 members" in answer.account.detail


async def test_the_word_is_that_of_the_least_part(house: House) -> None:
    """One stale member makes a stale list."""
    provider = house.provider.answers[0]
    house.provider.answers[0] = replace(provider, parts=(b'{"a":{"usd":1}}',))  # type: ignore[type-var]  # a Response
    await house.ask("/coingecko/price?ids=a")
    house.clock += 50
    house.provider.answers[0] = replace(provider, parts=(b'{"b":{"usd":2}}',))  # type: ignore[type-var]  # likewise
    await house.ask("/coingecko/price?ids=b")
    house.clock += 20
    answer = await house.ask("/coingecko/price?ids=a,b")

    assert answer.account.verdict.value == "STALE"


async def test_conditions_of_a_list_are_not_those_of_its_members(house: House) -> None:
    """A list has no validators of its own: it is given whole."""
    house.provider.answers[0] = replace(house.provider.answers[0], parts=(b'{"a":1,"b":2}',))  # type: ignore[type-var]  # a Response
    answer = await house.ask("/coingecko/price?ids=a,b", fields=(("If-None-Match", '"x"'),))

    assert (200, b'{"a":1,"b":2}') == (answer.status, answer.body)


async def test_a_large_member_is_whole_in_its_list(house: House) -> None:
    """A member whose body is handed on while it arrives is taken in whole before it is composed."""
    provider = house.provider.answers[0]
    large = b'{"a":{"usd":"' + b"1" * 400_000 + b'"}}'
    small = b'{"b":{"usd":2}}'
    house.provider.answers[0] = replace(provider, parts=(small,))  # type: ignore[type-var]  # a Response
    await house.ask("/coingecko/price?ids=b")
    house.provider.answers[0] = replace(provider, parts=(large,))  # type: ignore[type-var]  # likewise
    answer = await house.ask("/coingecko/price?ids=a,b")

    assert isinstance(answer.body, bytes)
    assert {"a", "b"} == set(json.loads(answer.body))


async def test_what_cannot_be_composed_is_asked_for_as_it_is(house: House) -> None:
    """Members that are stored in no shape of a list: the list goes to the provider, and whole."""
    provider = house.provider.answers[0]
    for member in "ab":
        odd = replace(provider, parts=(b'"not a list"',))  # type: ignore[type-var]  # a Response
        house.provider.answers[0] = odd
        await house.ask(f"/coingecko/price?ids={member}")
    whole = b'{"a":{"usd":1},"b":{"usd":2}}'
    house.provider.answers[0] = replace(provider, parts=(whole,))  # type: ignore[type-var]  # likewise
    answer = await house.ask("/coingecko/price?ids=a,b")

    assert whole == answer.body
    assert "ids=a,b" in house.provider.sent[-1].target.replace("%2C", ",")
