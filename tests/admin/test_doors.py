"""Who is let in."""

import pytest
from multidict import CIMultiDict

from proxy.admin.doors import Doors

LOCAL = "10.0.0.5"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8081"},
        {"Host": "localhost:8081"},
        {"Host": "LOCALHOST"},
        {"Host": "[::1]:8081"},
        {"Host": "127.9.9.9"},
        {"Host": "proxy.internal:8081"},
        {"Host": "10.0.0.5:8081"},
        {"Host": "localhost:8081", "Origin": "http://localhost:8081"},
        {"Host": "localhost:8081", "Sec-Fetch-Site": "same-origin"},
        {"Host": "localhost:8081", "Sec-Fetch-Site": "none"},
    ],
    ids=str,
)
def test_let_in(headers: dict[str, str]) -> None:
    """Loopback, what is configured, the address that was connected to; one's own pages."""
    assert Doors(hosts=("proxy.internal",)).foreign(CIMultiDict(headers), LOCAL) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": ""},
        {"Host": "evil.example:8081"},
        {"Host": "localhost.evil.example"},
        {"Host": "10.0.0.6:8081"},
        {"Host": "[not an address"},
        {"Host": "localhost:8081", "Origin": "http://evil.example"},
        {"Host": "localhost:8081", "Origin": "http://localhost:3000"},
        {"Host": "localhost:8081", "Origin": "null"},
        {"Host": "localhost:8081", "Sec-Fetch-Site": "cross-site"},
        {"Host": "localhost:8081", "Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_kept_out(headers: dict[str, str]) -> None:
    """Names that DNS could rebind, and pages of other sites."""
    refused = Doors(hosts=("proxy.internal",)).foreign(CIMultiDict(headers), LOCAL)

    assert refused is not None
    assert 403 == refused.status


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Bearer s3cret", True),
        ("bearer s3cret", True),
        ("Bearer  s3cret ", True),
        ("Bearer other", False),
        ("Basic s3cret", False),
        ("Bearer", False),
        ("Bearer \udce9", False),
        (None, False),
    ],
)
def test_the_token(given: str | None, expected: bool) -> None:  # noqa: FBT001 - a row of the table
    """Bearer, compared in constant time."""
    headers = CIMultiDict({} if given is None else {"Authorization": given})

    assert expected is Doors("s3cret").trusted(headers)


def test_without_a_token_everybody_is_trusted() -> None:
    """The configuration allows that on loopback only."""
    assert Doors().trusted(CIMultiDict())
