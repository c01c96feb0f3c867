"""The form of a body that goes out, and what is remembered of entries."""

import gzip
from typing import Any

import pytest

from proxy.answer import Account, Answer
from proxy.core.model import Entry, Lifetimes, Verdict
from proxy.forms import UNKEPT, Forms
from proxy.http.renderings import Renderings, rendering
from proxy.store.memory import Memory
from tests.shelf import Shelf
from tests.values import replace

PLAIN = b'{"a": 1}' * 200
PACKED = gzip.compress(PLAIN, mtime=0)  # no time of day: it stands in names of tests
JSON = (("Content-Type", "application/json"), ("ETag", '"1"'))
CODED = (*JSON, ("Content-Encoding", "gzip"))


def answer(body: bytes, encoding: str = "", fields: Any = JSON, **more: Any) -> Answer:
    given = {"account": Account(Verdict.HIT), "status": 200, "reason": "OK"} | more
    return Answer(fields=fields, body=body, encoding=encoding, **given)


def lines(head: bytes) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-1])


@pytest.mark.parametrize(
    ("kept", "fields", "takes", "body", "coding", "etag", "vary"),
    [
        ("", JSON, True, PLAIN, None, '"1"', False),
        ("", JSON, False, PLAIN, None, '"1"', False),
        ("gzip", JSON, True, PACKED, "gzip", 'W/"1"', True),
        ("gzip", JSON, False, PLAIN, None, '"1"', True),
        ("gzip", CODED, True, PACKED, "gzip", '"1"', True),
        ("gzip", CODED, False, PLAIN, None, 'W/"1"', True),
    ],
)
def test_the_form_is_the_clients_choice(
    kept: str,
    fields: Any,
    takes: bool,  # noqa: FBT001 - a table's column
    body: bytes,
    coding: str | None,
    etag: str,
    vary: bool,  # noqa: FBT001
) -> None:
    """Gzip where it is taken and at hand, else identity; what changed on the way says so."""
    made = rendering(
        answer(PACKED if kept else PLAIN, kept, fields), PACKED if kept else PLAIN, takes_gzip=takes
    )
    said = lines(made.head)
    assert made.body == body
    assert said["Content-Length"] == str(len(body))
    assert (said.get("Content-Encoding"), said["ETag"], "Vary" in said) == (coding, etag, vary)


def test_what_may_not_be_transformed_goes_as_it_came() -> None:
    """`no-transform` (RFC 9111 section 5.2.2.6): the coding, ETag and body of the provider."""
    coded = rendering(answer(PACKED, "gzip", CODED, no_transform=True), PACKED, takes_gzip=False)
    plain = rendering(answer(PACKED, "gzip", JSON, no_transform=True), PACKED, takes_gzip=True)
    assert (coded.body, lines(coded.head)["Content-Encoding"]) == (PACKED, "gzip")
    assert (plain.body, "Content-Encoding" in lines(plain.head)) == (PLAIN, False)
    assert lines(coded.head)["ETag"] == lines(plain.head)["ETag"] == '"1"'


def test_another_coding_is_left_alone() -> None:
    """A body in a coding that the proxy did not choose passes as it is."""
    fields = (*JSON, ("Content-Encoding", "br"))
    made = rendering(answer(b"??", "", fields), b"??", takes_gzip=True)
    assert (made.body, lines(made.head)["Content-Encoding"]) == (b"??", "br")


def test_what_only_calls_itself_gzip_passes() -> None:
    """A body that cannot be unpacked goes out as it came, under the provider's own name for it."""
    made = rendering(answer(b"junk", "gzip", CODED), b"junk", takes_gzip=False)
    assert (made.body, lines(made.head)["Content-Encoding"]) == (b"junk", "gzip")


def entry(body: bytes = PACKED, **more: Any) -> Entry:
    given = {"key": "k", "status": 200, "reason": "OK", "fields": JSON, "encoding": "gzip"} | more
    return Entry(
        body=body, requested_at=0, received_at=0, initial_age=0, lifetimes=Lifetimes(60), **given
    )


def test_a_304_has_the_etag_of_the_200_it_stands_for() -> None:
    """RFC 9110 section 15.4.5: the client's stored answer had the weak one, and had Vary."""
    bare = answer(b"", status=304, entry=entry())
    said = lines(rendering(bare, b"", takes_gzip=True).head)
    assert (said["ETag"], said["Vary"]) == ('W/"1"', "Accept-Encoding")
    assert not {"Content-Encoding", "Content-Length"} & set(said)


@pytest.mark.parametrize(
    ("body", "length", "said"), [(b"", None, None), (b"", 7, "7"), (b"abc", None, "3")]
)
def test_the_length_in_an_answer_to_head(body: bytes, length: int | None, said: str | None) -> None:
    """The length that GET would give, where it is known; nothing is made up (RFC 9110 8.6)."""
    made = rendering(answer(body, content_length=length), body, takes_gzip=False, head_only=True)
    assert lines(made.head).get("Content-Length") == said


def kept(renderings: Renderings, of: Entry, **more: Any) -> bool:
    given = answer(of.body, "gzip", entry=of, **more)
    if renderings.get(given, of, takes_gzip=True) is not None:
        return True
    renderings.keep(given, of, rendering(given, of.body, takes_gzip=True), takes_gzip=True)
    return False


@pytest.mark.parametrize("forms", [Shelf(), UNKEPT])
def test_an_entry_is_rendered_once(forms: Forms) -> None:
    """The same entry with the same fields has the same fixed bytes, and another has not."""
    renderings, one = Renderings(forms), entry()
    assert not kept(renderings, one)
    assert kept(renderings, one)
    assert not kept(renderings, replace(one))
    assert not kept(renderings, one, fields=(*JSON, ("X", "y")))
    assert kept(renderings, one, fields=(*JSON, ("X", "y")))
    assert len(forms.forms(one)) == isinstance(forms, Shelf)


def test_the_renderings_of_an_entry_are_counted_and_go_with_it() -> None:
    """Both forms of the body; that which the entry has itself is not counted twice."""
    memory = Memory(10**6)
    memory.put(entry(key="k"))
    held = memory.get("k")
    assert held is not None
    alone = memory.figures().bytes
    renderings = Renderings(memory)
    counted = []
    for takes_gzip in (True, False):
        given = answer(held.body, "gzip", entry=held)
        made = rendering(given, held.body, takes_gzip=takes_gzip)
        renderings.keep(given, held, made, takes_gzip=takes_gzip)
        counted.append(memory.figures().bytes - alone)
    assert len(PLAIN) < counted[1] - counted[0] < len(PLAIN) + 3000
    assert 0 < counted[0] < 3000
    memory.delete("k")
    assert memory.figures().bytes == 0
    assert not renderings.has(held, takes_gzip=True)


def test_renderings_of_what_is_not_held_are_bounded() -> None:
    """Both in number and in bytes; the oldest goes first."""
    renderings = Renderings(UNKEPT, most=2)
    first, second, third = entry(), entry(), entry()
    for each in (first, second, third):
        kept(renderings, each)
    assert [renderings.has(each, takes_gzip=True) for each in (first, second, third)] == [
        False,
        True,
        True,
    ]
    small = Renderings(UNKEPT, most_bytes=10_000)
    for each in (large := entry(gzip.compress(bytes(range(256)) * 40)), entry(), large):
        kept(small, each)
    assert small._bytes <= 10_000
