"""Accept in its normal form: what asks for the same is the same."""

import pytest

from proxy.core.accepts import default_accept, normal_accept

JSON = "application/json"


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "  ",
        "*/*",
        "application/json",
        "Application/JSON",
        "application/*",
        "application/json, text/plain, */*",
        "text/plain, */*",
        "application/json;q=0.9, text/plain;q=0.5",
        "application/json; q=0.5",
        "*/*;q=0.8",
    ],
)
def test_json_liked_best_is_the_default(accept: str | None) -> None:
    """Whatever likes nothing better than the declared type asks for just that."""
    assert normal_accept(accept, JSON) == JSON
    assert normal_accept(accept, "application/json; charset=utf-8") == JSON


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/csv", "text/csv"),
        ("Text/CSV , text/plain", "text/csv,text/plain"),
        ("text/html, */*;q=0.8", "text/html,*/*;q=0.8"),
        ("application/json;q=0", "application/json;q=0"),
        ("application/vnd.api+json", "application/vnd.api+json"),
        ("application/json;version=2", "application/json;version=2"),
        ("application/json;q=0.3, text/csv;q=x", "application/json;q=0.3,text/csv;q=x"),
    ],
)
def test_anything_else_is_kept(accept: str, expected: str) -> None:
    """What may bring another form is told apart, less case and blanks."""
    assert normal_accept(accept, JSON) == expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "*/*"),
        ("*/*", "*/*"),
        ("*/*;q=0.5", "*/*"),
        ("application/json", "application/json"),
        ("application/json, */*", "application/json,*/*"),
    ],
)
def test_no_declared_type(accept: str | None, expected: str) -> None:
    """Without a declared type only an Accept that says nothing is the default."""
    assert normal_accept(accept, None) == expected


def test_default() -> None:
    """The default is the declared type, less its parameters."""
    assert default_accept("Text/CSV; charset=utf-8") == "text/csv"
    assert default_accept(None) == "*/*"
