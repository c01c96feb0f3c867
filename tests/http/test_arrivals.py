"""Answers as they arrive: their lengths. What becomes of bodies stands in `test_client`."""

from typing import Any

import pytest

from proxy.http.arrivals import content_length


@pytest.mark.parametrize(
    ("fields", "length"),
    [
        ((), None),
        ((("Content-Length", "5"),), 5),
        ((("content-length", "5"), ("Content-Length", "5")), 5),
        ((("Content-Length", "5"), ("Content-Length", "6")), None),
        ((("Content-Length", "x"),), None),
        ((("Content-Length", "-1"),), None),
        ((("Content-Length", "5"), ("Transfer-Encoding", "chunked")), None),
    ],
)
def test_content_length(fields: Any, length: int | None) -> None:
    """RFC 9112 section 6.3: a length is one where it is said alike, and nothing else is said."""
    assert content_length(fields) == length
