"""Rows that the first level does not count are bounded by themselves."""

from proxy.http.rows import Alike, PassingRows, Row
from tests.http.known_hits import entry, hit


def row(name: bytes, body: bytes = b"hello") -> Row:
    known = hit(entry(body=body), passing=True)
    assert known.answer is not None
    alike = Alike(1, wants_gzip=False)
    return Row((alike, name), known, known.answer, (b"head", body), lambda _: None)


def test_passing_rows_are_bounded() -> None:
    """In number and in bytes; the same key is one row."""
    rows = PassingRows(most=2)
    kept = [row(b"%d" % number) for number in range(3)]
    for each in kept:
        rows.keep(each)
    assert [rows.get(each.key) for each in kept] == [None, *kept[1:]]
    again = row(b"")
    again.key = kept[2].key
    rows.keep(again)
    assert (rows.get(again.key), len(rows)) == (again, 2)

    narrow = PassingRows(most_bytes=3 * again.size)
    for number in range(3):
        narrow.keep(row(b"%d" % number, bytes(again.size)))
    assert len(narrow) == 1
    narrow.keep(row(b"large", bytes(10 * again.size)))
    assert len(narrow) == 0
    narrow.clear()
    narrow.keep(again)
    assert len(narrow) == 1
