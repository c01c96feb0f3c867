"""Links to the provider inside its answers."""

import pytest

from proxy.core.links import local, neutral
from proxy.core.upstreams import Credentials, Upstream

NEWS = Upstream(
    "cryptopanic",
    "https://cryptopanic.com",
    "/cryptopanic",
    (),
    None,
    credentials=Credentials(query="auth_token", value="s3cret"),
    secret_parameters=frozenset({"auth_token"}),
)


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        (
            b"https://cryptopanic.com/api/v1/posts/?auth_token=s3cret&page=2",
            b"http://bot:8080/cryptopanic/api/v1/posts/?page=2",
        ),
        (
            b"https:\\/\\/cryptopanic.com\\/api\\/v1\\/posts\\/?page=2&auth_token=s3cret",
            b"http:\\/\\/bot:8080\\/cryptopanic\\/api\\/v1\\/posts\\/?page=2",
        ),
        (b"https://cryptopanic.com/news/1/a?x=1", b"https://cryptopanic.com/news/1/a?x=1"),
        (b"https://elsewhere.com/?auth_token=1", b"https://elsewhere.com/?auth_token=1"),
    ],
)
def test_links(link: bytes, expected: bytes) -> None:
    """Links to the API lead to the proxy, without the key; all others stay as they were."""
    body = b'{"next":"' + link + b'","price":1.10,"text":"a \\" b"}'
    expected_body = b'{"next":"' + expected + b'","price":1.10,"text":"a \\" b"}'

    assert expected_body == local(neutral(body, NEWS), "http://bot:8080")


def test_the_key_is_nowhere() -> None:
    """A key that stands anywhere else in the body is not stored either."""
    assert b"s3cret" not in neutral(b'{"you":"s3cret","next":null}', NEWS)
