"""Vary (RFC 9111 section 4.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import variants
from proxy.core.fields import Fields
from proxy.core.model import Entry, Lifetimes, Request

NOW = 1_763_000_000.0


def asked(*fields: tuple[str, str]) -> Request:
    return Request("GET", "/x", "", fields)


def stored(vary: str, *fields: tuple[str, str], more: Fields = (), at: float = NOW) -> Entry:
    reply = (("Vary", vary), *more) if vary else more
    request = asked(*fields)
    return Entry(
        variants.variant_key("k", reply, request), 200, "OK", reply, b"", "", at, at, 0.0,
        Lifetimes(60), request_fields=variants.selecting(reply, request),
    )  # fmt: skip


Pairs = list[tuple[str, str]]
MATCHES: list[tuple[str, Pairs, Pairs, bool]] = [
    # Vary, the stored request's fields, the new request's, whether it matches
    ("", [("Foo", "1")], [("Foo", "2")], True),
    ("Foo", [("Foo", "1")], [("Foo", "1")], True),
    ("Foo", [("Foo", "1")], [("fOO", "1")], True),
    ("foo", [("Foo", "1")], [("Foo", "1")], True),
    ("Foo", [("Foo", "1")], [("Foo", "2")], False),
    ("Foo", [("Foo", "a")], [("Foo", "A")], False),
    ("Foo", [], [("Foo", "1")], False),
    ("Foo", [("Foo", "1")], [], False),
    ("Foo", [], [], True),
    ("Foo", [("Foo", "")], [], False),
    ("Foo", [("Foo", "1"), ("Other", "2")], [("Foo", "1"), ("Other", "3")], True),
    ("Foo, Bar", [("Foo", "1"), ("Bar", "a")], [("Bar", "a"), ("Foo", "1")], True),
    ("Foo, Bar", [("Foo", "1"), ("Bar", "a")], [("Foo", "1"), ("Bar", "b")], False),
    ("Foo, Bar", [("Foo", "1")], [("Foo", "1")], True),
    ("Foo, Bar", [("Foo", "1")], [], False),
    ("Foo,,Bar ,", [("Foo", "1"), ("Bar", "a")], [("Foo", "1"), ("Bar", "a")], True),
    ("*", [("Foo", "1")], [("Foo", "1")], False),
    ("*, *", [], [], False),
    (", *", [], [], False),
    ("*, Foo", [("Foo", "1")], [("Foo", "1")], False),
    ("Foo, *", [("Foo", "1")], [("Foo", "1")], False),
    ("Foo", [("Foo", "1, 2")], [("Foo", "1"), ("Foo", "2")], True),
    ("Foo", [("Foo", "1,2")], [("Foo", " 1, 2 ")], True),
    ("Foo", [("Foo", "1, 2")], [("Foo", "2, 1")], False),
    ("Foo", [("Foo", '"a, b"')], [("Foo", '"a,b"')], False),
    ("Accept-Language", [("Accept-Language", "en, de")], [("Accept-Language", "de, en")], True),
    ("Accept-Language", [("Accept-Language", "en, de")], [("Accept-Language", "eN, De")], True),
    ("Accept-Language", [("Accept-Language", "en, de")], [("Accept-Language", " en ,  de")], True),
    ("Accept-Language", [("Accept-Language", "en")], [("Accept-Language", "de")], False),
    ("Accept", [("Accept", "a/b;q=0.5, c/d")], [("Accept", "c/d, a/b; q=0.5")], True),
    ("Accept", [("Accept", "a/b;q=0.5, c/d")], [("Accept", "c/d, a/b;q=0.6")], False),
    ("Accept-Encoding", [("Accept-Encoding", "gzip, br")], [("Accept-Encoding", "BR,gzip")], True),
    ("Accept-Encoding", [("Accept-Encoding", "gzip")], [], False),
]


@pytest.mark.parametrize(("vary", "before", "now", "expected"), MATCHES)
def test_a_variant_matches_where_all_that_vary_names_is_the_same(
    vary: str, before: Pairs, now: Pairs, *, expected: bool
) -> None:
    """9111 4.1: compared are the named fields, joined and normalised; `*` never matches."""
    assert expected is variants.matches(stored(vary, *before), asked(*now))


LANGUAGES = [
    # Content-Language stored, Accept-Language asked, whether it matches
    ("de", "fr;q=0.5, de;q=1.0", True),
    ("de", "de", True),
    ("DE", "de, en;q=0.9", True),
    ("de-CH", "de, en;q=0.9", True),
    ("de", "de-CH", False),
    ("de", "fr, de;q=0.5", False),
    ("de", "fr, de", False),
    ("de", "*", False),
    ("de", "de;q=0", False),
    ("de, en", "de", False),
    ("", "de", False),
    ("de", "", False),
]


@pytest.mark.parametrize(("content", "accept", "expected"), LANGUAGES)
def test_a_reply_in_the_language_liked_best_matches(
    content: str, accept: str, *, expected: bool
) -> None:
    """9110 12.5.4: where one language is liked best, a stored reply in it is what is wanted."""
    entry = stored(
        "Accept-Language", ("Accept-Language", "en, de"), more=(("Content-Language", content),)
    )

    assert expected is variants.matches(entry, asked(("Accept-Language", accept)))


def test_a_language_frees_from_nothing_else() -> None:
    """A reply in the right language still has to match in every other field that Vary names."""
    entry = stored(
        "Accept-Language, Foo", ("Accept-Language", "en"), ("Foo", "1"),
        more=(("Content-Language", "de"),),
    )  # fmt: skip

    assert not variants.matches(entry, asked(("Accept-Language", "de"), ("Foo", "2")))


def test_the_newest_of_several_is_chosen() -> None:
    """9111 4.1: where several match, the most recent one."""
    old, new = stored("", at=NOW), stored("", at=NOW + 5)

    assert new is variants.select((old, new), asked())
    assert new is variants.select((new, old), asked())


def test_nothing_is_chosen_of_what_does_not_match() -> None:
    """9111 4.1: without a matching variant there is no stored reply."""
    assert variants.select((stored("Foo", ("Foo", "1")),), asked(("Foo", "2"))) is None


Value = st.text(st.characters(codec="latin-1", categories=("L", "N", "P", "Zs")), max_size=12)


@given(Value, Value)
def test_a_variants_key_tells_what_matching_tells(before: str, now: str) -> None:
    """Two requests get one variant key exactly where the one's reply matches the other."""
    fields = (("Vary", "Foo"),)
    keys = [variants.variant_key("k", fields, asked(("Foo", each))) for each in (before, now)]
    entry = stored("Foo", ("Foo", before))

    assert (keys[0] == keys[1]) is variants.matches(entry, asked(("Foo", now)))


def test_an_absent_field_is_no_empty_one() -> None:
    """The key of a variant tells a field that was not sent from one sent empty."""
    fields = (("Vary", "Foo"),)

    assert variants.variant_key("k", fields, asked()) != variants.variant_key(
        "k", fields, asked(("Foo", ""))
    )


def test_what_does_not_vary_lies_at_the_primary_key() -> None:
    """Without Vary there is no second key."""
    assert variants.variant_key("k", (), asked(("Foo", "1"))) == "k"


def test_an_index_lists_the_newest_first_and_each_once() -> None:
    """The index names the new variant and those that were there, without double ones."""
    first, second = stored("Foo", ("Foo", "1")), stored("Foo", ("Foo", "2"))
    listed = variants.listed(variants.index("k", second, (first, second)))

    assert (second.key, first.key) == listed


def test_an_index_is_bounded() -> None:
    """One variant too many pushes out the last of the list."""
    others = tuple(stored("Foo", ("Foo", str(number))) for number in range(100))
    listed = variants.listed(variants.index("k", stored("Foo", ("Foo", "new")), others))

    assert len(listed) == variants.MOST


def test_an_index_is_kept_as_long_as_what_it_lists_and_is_never_an_answer() -> None:
    """An index lives as long as its longest variant, and is no variant itself."""
    entry = stored("Foo", ("Foo", "1"))
    index = variants.index("k", entry, ())

    assert index.lifetimes.usable == entry.lifetimes.usable
    assert variants.select((index,), asked()) is None
    assert variants.listed(entry) == ()
