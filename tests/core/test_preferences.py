"""A client's patience and urgency, as its fields say them."""

import pytest

from proxy.core.preferences import urgency, wait


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("wait=5", 5.0),
        ('respond-async, WAIT="2"', 2.0),
        ("wait = 1; foo=bar", 1.0),
        ("wait=-1", None),
        ("wait=soon", None),
        ("return=minimal", None),
    ],
)
def test_wait(value: str, expected: float | None) -> None:
    """RFC 7240 section 4.3: a number of seconds, or nothing."""
    assert expected == wait((("Prefer", value),))


@pytest.mark.parametrize(
    ("value", "expected"),
    [("u=0", 0), ("u=7, i", 7), ("i, u=2", 2), ("u=8", None), ("u=-1", None), ("u=?1", None),
     ("u", None), ("u=1.0", None), ("!", None)],
)  # fmt: skip
def test_urgency(value: str, expected: int | None) -> None:
    """RFC 9218 section 4.1: 0 to 7, anything else is ignored."""
    assert expected == urgency((("Priority", value),))


def test_silent() -> None:
    """Who says nothing has no preference."""
    assert wait(()) is None
    assert urgency(()) is None
