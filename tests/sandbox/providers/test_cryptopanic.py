"""CryptoPanic, simulated."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from proxy.sandbox.limits import Limit, Refused
from proxy.sandbox.provider import Call, Reply
from proxy.sandbox.providers.catalogue import PROVIDERS

POSTS = "/api/developer/v2/posts/?auth_token=SECRET"


@pytest.mark.parametrize("path", ["/api/v1/posts/", "/api/free/v1/posts/", "/api/growth/v2/posts/"])
def test_links_are_absolute_and_hold_the_token(answer: Callable[..., Any], path: str) -> None:
    """As the provider's own do: whoever passes them on gives the key away."""
    found = answer("cryptopanic", f"{path}?auth_token=SECRET&currencies=BTC&page=2")

    base = f"http://sandbox.test/p{path}?auth_token=SECRET&currencies=BTC"
    assert found["next"] == f"{base}&page=3"
    assert found["previous"] == f"{base}&page=1"


def test_pages_end_and_news_do_not_overlap(answer: Callable[..., Any]) -> None:
    """The first page has no `previous`, the last no `next`, and ids fall from page to page."""
    pages = [answer("cryptopanic", f"{POSTS}&page={page}") for page in range(1, 11)]
    numbers = [post["id"] for page in pages for post in page["results"]]

    assert (pages[0]["previous"], pages[-1]["next"]) == (None, None)
    assert numbers == sorted(set(numbers), reverse=True)
    assert len(numbers) == pages[0]["count"] == 200


def test_posts_have_the_documented_shape(
    answer: Callable[..., Any], shape: Callable[[Any], Any]
) -> None:
    """Source, currencies and votes among them; `currencies` chooses."""
    post = answer("cryptopanic", f"{POSTS}&currencies=ETH")["results"][0]

    assert post["currencies"][0]["code"] == "ETH"
    assert shape(post["source"]) == {"title": "text", "region": "text", "domain": "text",
                                     "path": None, "type": "text"}  # fmt: skip
    assert len(post["votes"]) == 9
    assert answer("cryptopanic", f"{POSTS}&currencies=NOSUCH")["results"] == []


def test_no_token_no_news(reply: Callable[..., Reply]) -> None:
    """403, free."""
    found = reply("cryptopanic", "/api/v1/posts/")

    assert (found.status, found.cost) == (403, 0)


def test_a_quota_used_up_says_no_time_and_a_throttle_does(call: Callable[..., Call]) -> None:
    """429 both, and told apart by body and Retry-After."""
    refuse = PROVIDERS["cryptopanic"].refusal
    month = refuse(call("/"), Refused(Limit("month", 100, "month"), 9e5, {}))
    second = refuse(call("/"), Refused(Limit("second", 5, 1.0), 0.4, {}))

    assert (month.status, month.fields) == (429, ())
    assert msgspec.json.decode(month.body)["info"].startswith("API monthly quota exceeded")
    assert second.fields == (("Retry-After", "1"),)
