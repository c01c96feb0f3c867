"""Header fields: order and spelling kept, names compared without case (RFC 9110 section 5)."""

from proxy.core.fields import combined, first, replaced, values, without

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
