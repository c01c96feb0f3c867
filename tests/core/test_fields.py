"""Header fields: order and spelling kept, names compared without case (RFC 9110 section 5)."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.core import fields as of_fields
from proxy.core.fields import combined, first, only, replaced, values, without

FIELDS = (("Vary", "a"), ("X-One", "1"), ("vary", "b"), ("x-one", "2"))


def test_look_ups_know_no_case() -> None:
    """9110 5.1: a field's name has no case; the first line, all lines, all lines as one list."""
    assert first(FIELDS, "vary") == "a"
    assert values(FIELDS, "x-one") == ("1", "2")
    assert combined(FIELDS, "vary") == "a, b"


def test_what_is_not_there_is_none() -> None:
    """An absent field is not an empty one."""
    assert first(FIELDS, "absent") is None
    assert values(FIELDS, "absent") == ()
    assert combined(FIELDS, "absent") is None
    assert combined((("E", ""),), "e") == ""


def test_what_is_taken_out_leaves_the_rest_in_order() -> None:
    """Every line of a named field goes, the others keep order and spelling."""
    assert without(FIELDS, {"vary"}) == (("X-One", "1"), ("x-one", "2"))


def test_a_new_field_replaces_all_lines_of_its_name() -> None:
    """What is named anew stands once, at the end; several new lines of one name all stand."""
    new = (("VARY", "c"), ("VARY", "d"))

    assert replaced(FIELDS, new) == (("X-One", "1"), ("x-one", "2"), *new)


@given(
    lines=st.lists(st.tuples(st.sampled_from(["A", "a", "Bc", "bC", "x"]), st.text(max_size=2))),
    dropped=st.frozensets(st.sampled_from(["a", "bc", "x", "absent"])),
)
def test_what_is_known_of_names_changes_no_answer(
    lines: list[tuple[str, str]], dropped: frozenset[str]
) -> None:
    """Looked up by what is known of a row of names, or line by line: the same, and asked again."""
    fields = tuple(lines)
    plain = tuple(pair for pair in fields if pair[0].lower() not in dropped)
    rest = tuple(pair for pair in fields if pair[0].lower() in dropped)

    for _ in range(2):
        assert plain == without(fields, dropped) == without(fields, set(dropped))
        assert rest == only(fields, dropped)
        for each in (fields, without(fields, dropped)):
            for name in ("a", "bc", "x", "absent"):
                said = tuple(value for key, value in each if key.lower() == name)
                assert said == values(each, name)
                assert (said[0] if said else None) == first(each, name)
                assert (", ".join(said) if said else None) == combined(each, name)


def test_nothing_dropped_is_the_very_same() -> None:
    """Whoever remembers something with a tuple of fields finds it again."""
    fields = (("A", "1"), ("B", "2"))

    assert without(fields, frozenset({"c"})) is fields
    assert without(fields, {"c"}) is fields


def test_what_is_known_of_names_is_bounded() -> None:
    """The other side chooses names, and what Connection makes of them: neither fills memory."""
    for number in range(3000):
        fields = ((f"X-{number}", ""), ("A", ""))
        assert without(fields, frozenset({f"x-{number}"})) == (("A", ""),)
        assert without((("A", ""), ("B", "")), frozenset({f"y-{number}", "b"})) == (("A", ""),)

    assert len(of_fields._remembered) <= of_fields._MOST_REMEMBERED
    assert len(of_fields._shapes) <= of_fields._MOST_SHAPES
    assert len(of_fields._shape((("A", ""), ("B", ""))).cuts) <= of_fields._MOST_CUTS
    assert () == values((("X" * 4000, ""),), "a")
    for _ in range(2):
        assert (("B", ""),) == without((("A", ""), ("B", "")), frozenset({"y" * 4000, "a"}))
    cuts = of_fields._shape((("A", ""), ("B", ""))).cuts
    assert all(len("".join(dropped)) <= of_fields._LONGEST for dropped in cuts)
    assert all(len("".join(row)) <= of_fields._LONGEST for row in of_fields._shapes)
