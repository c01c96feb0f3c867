"""The shortest way: the same answer as the ordinary way, or none."""

from collections.abc import AsyncIterator

import pytest

from proxy.answer import Answer
from proxy.core.fields import Fields
from proxy.core.model import Client, Policy, Request
from tests.house import House, at_once, endpoint, upstream
from tests.shelf import Shelf
from tests.values import replace

PATH, QUERY = "/coingecko/price", "ids=bitcoin"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    built = House()
    yield built
    await built.close()


def asking(
    fields: Fields = (), method: str = "GET", query: str = QUERY, client: Client | None = None
) -> Request:
    return Request(method, PATH, query, fields, "proxy", 8080, client or Client())


async def known(house: House, fields: Fields = ()) -> None:
    """Ask twice: a miss, and the hit that is learnt."""
    for _ in range(2):
        await house.flow.serve(asking(fields), None)


def same(one: Answer | None, other: Answer) -> bool:
    return one is not None and (one.status, one.fields, one.body, one.account) == (
        other.status,
        other.fields,
        other.body,
        other.account,
    )


async def test_known_hits_are_the_ordinary_ones(house: House) -> None:
    """At every age until it ends, the short way answers what the ordinary way does."""
    await known(house)
    for step in (0.0, 0.4, 0.7, 10.0, 30.0, 18.8):
        house.clock += step
        quick = at_once(house.flow, asking())

        assert same(quick, await house.flow.serve(asking(), None)), house.clock


async def test_a_miss_is_never_answered(house: House) -> None:
    """What is not known, or no longer fresh, goes the ordinary way."""
    assert at_once(house.flow, asking()) is None

    await known(house)
    house.clock += 60

    assert at_once(house.flow, asking()) is None


@pytest.mark.parametrize(
    "field",
    [
        ("Cache-Control", "max-age=0"),
        ("If-None-Match", '"a"'),
        ("Range", "bytes=0-1"),
        ("Authorization", "Bearer a"),
        ("Cookie", "a=b"),
        ("X-CG-Demo-API-Key", "theirs"),
        ("Accept", "text/html"),
    ],
)
async def test_special_requests_are_not_known(house: House, field: tuple[str, str]) -> None:
    """A field that may ask for something else takes a request off the short way."""
    await known(house)

    assert at_once(house.flow, asking((field,))) is None


async def test_a_header_that_never_repeats_does_not_matter(house: House) -> None:
    """What is not keyed is not sent, so it cannot make another answer."""
    await known(house)

    assert at_once(house.flow, asking((("traceparent", "00-1"), ("User-Agent", "bot"))))


async def test_only_the_very_entry_is_given(house: House) -> None:
    """A purge and a newer entry are in force from the next request on."""
    await known(house)
    [key] = house.first_level.entries
    house.first_level.delete(key)

    assert at_once(house.flow, asking()) is None


async def test_other_methods_and_configured_clients(house: House) -> None:
    """HEAD has no body to share, and a configured client is counted by name."""
    await known(house)

    assert at_once(house.flow, asking(method="HEAD")) is None
    assert at_once(house.flow, asking(client=Client(name="grid-1"))) is None


async def test_a_reload_forgets(house: House) -> None:
    """New routes are in force from the next request on."""
    await known(house)
    house.flow.configure(house.flow.routes)

    assert at_once(house.flow, asking()) is None


async def test_counted(house: House) -> None:
    """Every hit is counted once."""
    await known(house)
    for _ in range(3):
        at_once(house.flow, asking())

    assert house.recorder.hits == 3


async def test_obey_is_never_learnt() -> None:
    """Under `obey` any field may select another variant."""
    fields = (("Content-Type", "application/json"), ("Cache-Control", "max-age=60"))
    house = House(upstream(endpoint("price", "/price", policy=Policy.OBEY)))
    house.provider.answers[0].fields = fields  # type: ignore[union-attr]  # it is a Response
    await known(house)

    assert at_once(house.flow, asking()) is None
    await house.close()


async def test_max_age_holds(house: House) -> None:
    """The oldest answer ever given is not older than the endpoint allows."""
    built = House(upstream(endpoint("price", "/price", max_age=5.0)))
    await known(built)
    built.clock += 5.0

    assert at_once(built.flow, asking()) is None
    await built.close()


async def test_a_hit_is_kept_beside_its_entry_and_goes_with_it(house: House) -> None:
    """The first level counts it; what is learnt anew, or forgotten, is not kept any longer."""
    shelf = house.flow._parts.hits._forms = Shelf()
    for query in ("ids=a", "ids=b", "ids=a"):
        for _ in range(2):
            await house.flow.serve(asking(query=query), None)
    kept = {entry.key: forms for entry, forms in shelf.kept.values()}
    assert [len(forms) for forms in kept.values()] == [1, 1]
    assert all(form.size > 1024 for forms in kept.values() for form in forms)

    next(iter(kept.values()))[0].gone()
    quick = [at_once(house.flow, asking(query=f"ids={name}")) is not None for name in "ab"]

    assert quick == [False, True]
    house.flow.configure(house.flow.routes)
    assert [forms for _, forms in shelf.kept.values()] == [(), ()]


async def test_a_hit_holds_no_connection(house: House) -> None:
    """What relays 1xx answers belongs to the one request that was learnt from."""

    async def inform(_status: int, _fields: Fields) -> None:
        raise AssertionError

    for _ in range(2):
        await house.flow.serve(replace(asking(), inform=inform), None)
    hit = house.flow.known(asking())

    assert hit is not None
    assert hit.asked.request.inform is None


async def test_hits_are_bounded_in_number(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was learnt first makes room."""
    monkeypatch.setattr("proxy.hits.MOST", 3)
    for query in ("ids=a", "ids=b", "ids=c", "ids=d", "ids=d"):
        for _ in range(2):
            await house.flow.serve(asking(query=query), None)

    quick = [at_once(house.flow, asking(query=f"ids={name}")) is not None for name in "abcd"]

    assert [False, True, True, True] == quick


@pytest.fixture
async def shallow() -> AsyncIterator[House]:
    """A house whose first level holds nothing: all that it has is in the store."""
    built = House()
    built.first_level.put = lambda _: None  # type: ignore[method-assign]
    yield built
    await built.close()


async def test_what_only_the_store_has_is_known_too(shallow: House) -> None:
    """It is not answered at once: the store is asked; then as the ordinary way does."""
    await known(shallow)
    hit = shallow.flow.known(asking())
    assert hit is not None
    assert hit.passing
    assert shallow.flow.again(hit) is None

    for step in (0.0, 0.4, 30.0, 28.8):
        shallow.clock += step
        hit = shallow.flow.known(asking())
        assert hit is not None
        again = await shallow.flow.again_from_store(hit)
        assert same(again, await shallow.flow.serve(asking(), None)), shallow.clock

    hit = shallow.flow.known(asking())
    assert hit is not None
    shallow.clock += 0.8
    assert await shallow.flow.again_from_store(hit) is None, "its time is over"


@pytest.mark.parametrize("what", ["gone", "another", "reload"])
async def test_the_store_has_the_last_word(shallow: House, what: str) -> None:
    """What was removed or replaced there, or configured anew, is no known hit any more."""
    await known(shallow)
    hit = shallow.flow.known(asking())
    assert hit is not None
    entries = shallow.store.level.entries
    [key] = entries
    if what == "gone":
        del entries[key]
    elif what == "another":
        entries[key] = replace(entries[key], body=b"newer")
    else:
        shallow.flow.configure(shallow.flow.routes)

    assert await shallow.flow.again_from_store(hit) is None
    if what == "reload":
        assert shallow.flow.known(asking()) is None


async def test_what_passes_is_bounded(shallow: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in bytes; the oldest goes, and what is held here now is not among it."""
    monkeypatch.setattr("proxy.hits.MOST_PASSING", 2)
    for number in range(3):
        for _ in range(2):
            await shallow.flow.serve(asking(query=f"ids={number}"), None)
    found = [shallow.flow.known(asking(query=f"ids={number}")) for number in range(3)]
    assert [hit is not None for hit in found] == [False, True, True]

    monkeypatch.setattr("proxy.hits.MOST_PASSING_BYTES", 1)
    await shallow.flow.serve(asking(query="ids=2"), None)
    assert all(shallow.flow.known(asking(query=f"ids={number}")) is None for number in range(3))


async def test_what_comes_to_be_held_passes_no_more(shallow: House) -> None:
    """Once the first level holds the entry, its hits are answered at once."""
    await known(shallow)
    del shallow.first_level.put
    await known(shallow)

    hit = shallow.flow.known(asking())

    assert hit is not None
    assert not hit.passing
    assert shallow.flow.again(hit) is not None
