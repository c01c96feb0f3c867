"""What a simulated provider is made of."""

from collections.abc import Callable

import pytest

from proxy.sandbox.market import Market
from proxy.sandbox.provider import Call, Provider, Reply, Route, json_reply, query_of, raw, whole


def _nothing(_call: Call, _market: Market) -> Reply:
    return json_reply(None)


@pytest.mark.parametrize(
    ("template", "path", "names"),
    [
        ("/coins/{id}", "/coins/bitcoin", {"id": "bitcoin"}),
        ("/coins/{id}", "/coins/a%2Fb", {"id": "a/b"}),
        ("/coins/{id}", "/coins/a/b", None),
        ("/coins/{id}", "/coins/", None),
        ("/x/{rest:path}", "/x/a/b", {"rest": "a/b"}),
        ("/a.json", "/axjson", None),
    ],
)
def test_placeholders_take_one_segment_and_a_last_one_the_rest(
    template: str, path: str, names: dict[str, str] | None
) -> None:
    """Templates match as the proxy's own do."""
    assert Route(template, _nothing).match("GET", path) == names


def test_the_first_route_that_fits_is_taken_and_methods_count() -> None:
    """A table's order decides; a trailing slash is met too unless the provider keeps it."""
    routes = (
        Route("/a/list", _nothing, 7),
        Route("/a/{id}", _nothing, 1),
        Route("/a/{id}", _nothing, 9, methods=("POST",)),
    )

    def cost(method: str, path: str, *, keeps: bool = False) -> int | None:
        made = Provider(
            "p", "P", (), routes, lambda *_: json_reply(None), lambda _: json_reply(None),
            lambda _: "", keeps_slash=keeps,
        )  # fmt: skip
        met = made.route(method, path)
        return None if met is None else int(str(met[0].cost))

    assert cost("GET", "/a/list") == 7
    assert cost("HEAD", "/a/other/") == 1
    assert cost("POST", "/a/list") == 9
    assert cost("PUT", "/a/list") is None
    assert cost("GET", "/a/list/", keeps=True) is None


def test_queries_are_decoded_and_blank_values_kept() -> None:
    """Encoded and raw forms mean the same."""
    assert query_of("/x?symbols=%5B%22A%22%5D&limit=") == {"symbols": '["A"]', "limit": ""}
    assert query_of('/x?symbols=["A"]') == {"symbols": '["A"]'}
    assert query_of("/x") == {}


@pytest.mark.parametrize(("text", "value"), [(None, 5), ("x", 5), ("0", 1), ("7", 7), ("99", 9)])
def test_numbers_from_parameters_stay_within_their_bounds(text: str | None, value: int) -> None:
    """What is no number is the default."""
    assert whole(text, 5, 1, 9) == value


def test_raw_figures_stand_in_the_json_as_written(call: Callable[..., Call]) -> None:
    """No figure is read and written again."""
    assert json_reply({"usd": raw("0.00000302110")}).body == b'{"usd":0.00000302110}'
    assert call("/x", fields=(("X-A", "1"),)).field("x-a") == "1"
