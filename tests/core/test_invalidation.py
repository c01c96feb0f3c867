"""Invalidation (RFC 9111 section 4.4)."""

import pytest

from proxy.core.invalidation import resolved, targets

URI = "https://api.example.com/v1/things?x=1"
LOCATION, CONTENT = "Location", "Content-Location"

TARGETS: list[tuple[str, int, tuple[tuple[str, str], ...], tuple[str, ...]]] = [
    # method, status, fields, what is no longer true
    ("POST", 200, (), (URI,)),
    ("PUT", 204, (), (URI,)),
    ("DELETE", 202, (), (URI,)),
    ("PATCH", 200, (), (URI,)),
    ("M-SEARCH", 200, (), (URI,)),
    ("post", 200, (), (URI,)),
    ("POST", 303, ((LOCATION, "/v1/done"),), (URI, "https://api.example.com/v1/done")),
    ("POST", 201, ((LOCATION, "things/7"),), (URI, "https://api.example.com/v1/things/7")),
    ("POST", 201, ((CONTENT, "/v1/things/7"),), (URI, "https://api.example.com/v1/things/7")),
    ("POST", 201, ((LOCATION, "?x=1"), (CONTENT, "#frag")), (URI,)),
    ("POST", 201, ((LOCATION, "https://api.example.com:443/a"),),
     (URI, "https://api.example.com:443/a")),
    ("POST", 201, ((LOCATION, "https://API.example.com/a"),), (URI, "https://API.example.com/a")),
    ("POST", 201, ((LOCATION, "https://other.example.com/a"),), (URI,)),
    ("POST", 201, ((LOCATION, "http://api.example.com/a"),), (URI,)),
    ("POST", 201, ((LOCATION, "https://api.example.com:8443/a"),), (URI,)),
    ("POST", 201, ((LOCATION, "//other.example.com/a"),), (URI,)),
    ("POST", 201, ((LOCATION, "https://api.example.com:port/"),), (URI,)),
    ("POST", 201, ((LOCATION, "https://[broken/"),), (URI,)),
    ("POST", 400, ((LOCATION, "/a"),), ()),
    ("POST", 500, (), ()),
    ("PUT", 404, (), ()),
    ("GET", 200, ((CONTENT, "/a"),), ()),
    ("HEAD", 200, (), ()),
    ("OPTIONS", 200, (), ()),
    ("TRACE", 200, (), ()),
]  # fmt: skip


@pytest.mark.parametrize(("method", "status", "fields", "expected"), TARGETS)
def test_a_successful_unsafe_request_makes_untrue(
    method: str, status: int, fields: tuple[tuple[str, str], ...], expected: tuple[str, ...]
) -> None:
    """9111 4.4: its target, Location and Content-Location of the same origin; after 2xx and 3xx."""
    assert expected == targets(method, URI, status, fields)


def test_a_reference_is_resolved_without_its_fragment() -> None:
    """9110 10.2.2: a reference is relative to the target; a fragment is the client's matter."""
    assert resolved(URI, " ../a#b ") == "https://api.example.com/a"
    assert resolved(URI, "") == URI
    assert resolved(URI, None) is None
