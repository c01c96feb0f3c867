"""Which upstream and endpoint a request meets, and what path goes on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.core import routing
from proxy.core.model import Policy, Request
from proxy.core.routing import REMEMBERED, Match, NoMatch, OutOfBounds, Routes, parse_template
from proxy.core.templates import specificity
from proxy.core.upstreams import Endpoint, Upstream
from tests.values import replace


def _endpoint(name: str, path: str, policy: Policy = Policy.IGNORE, **query: str) -> Endpoint:
    return Endpoint(
        name, "u", path, parse_template(path), tuple(query.items()), ttl=1.0, policy=policy
    )


def _upstream(name: str, prefix: str, *endpoints: Endpoint, **more: object) -> Upstream:
    rest = "/{rest:path}"  # as `config.endpoints` makes it
    unmatched = Endpoint("unmatched", name, rest, parse_template(rest), ttl=0.0)
    built = Upstream(name, f"https://{name}.test", prefix, endpoints, unmatched)
    return replace(built, **more)  # type: ignore[arg-type]  # any field of an upstream


GECKO = _upstream(
    "coingecko",
    "/coingecko",
    _endpoint("price", "/api/v3/simple/price"),
    _endpoint("coin", "/api/v3/coins/{id}"),
    _endpoint("coin_metadata", "/api/v3/coins/{id}", market_data="false"),
    _endpoint("list", "/api/v3/coins/list"),
    _endpoint("tickers", "/api/v3/coins/{id}/tickers"),
    _endpoint("bitcoin", "/api/v3/{kind}/bitcoin/only"),
    _endpoint("onchain", "/api/v3/onchain/{rest:path}"),
    _endpoint("slash", "/fng/"),
    hosts=("coingecko.localhost",),
)
OBEDIENT = _upstream("site", "/site", _endpoint("all", "/{rest:path}", Policy.OBEY))
DEEP = _upstream("deep", "/coingecko/deep", _endpoint("x", "/x"), listen="127.0.0.1:9001")
ROOT = _upstream("root", "/", _endpoint("home", "/"), _endpoint("x", "/x"))
STRICT = _upstream("strict", "/strict", _endpoint("x", "/x"), unmatched=None)
ROUTES = Routes((GECKO, OBEDIENT, DEEP, ROOT, STRICT))


def _met(path: str, query: str = "", host: str = "127.0.0.1", port: int = 8080) -> Match:
    route = ROUTES.match(Request("GET", path, query, (), host, port))
    assert isinstance(route, Match), route
    return route


@pytest.mark.parametrize(
    ("path", "query", "upstream", "endpoint", "forwarded"),
    [
        ("/coingecko/api/v3/simple/price", "", "coingecko", "price", "/api/v3/simple/price"),
        ("/coingecko/api/v3/coins/list", "", "coingecko", "list", "/api/v3/coins/list"),
        ("/coingecko/api/v3/coins/btc", "", "coingecko", "coin", "/api/v3/coins/btc"),
        ("/coingecko/api/v3/coins/btc", "market_data=true", "coingecko", "coin", None),
        (
            "/coingecko/api/v3/coins/btc",
            "a=1&market_data=false",
            "coingecko",
            "coin_metadata",
            None,
        ),
        (
            "/coingecko/api/v3/coins/btc",
            "market%5Fdata=fals%65",
            "coingecko",
            "coin_metadata",
            None,
        ),
        (
            "/coingecko/api/v3/coins/b",
            "market_data=false&market_data=true",
            "coingecko",
            "coin",
            None,
        ),
        ("/coingecko/api/v3/coins/btc/tickers", "", "coingecko", "tickers", None),
        ("/coingecko/api/v3/coins/bitcoin/only", "", "coingecko", "bitcoin", None),
        ("/coingecko/api/v3/onchain", "", "coingecko", "onchain", "/api/v3/onchain"),
        ("/coingecko/api/v3/onchain/a//b/", "", "coingecko", "onchain", "/api/v3/onchain/a/b"),
        ("/coingecko/api/v3/co%69ns/b%74c", "", "coingecko", "coin", "/api/v3/co%69ns/b%74c"),
        ("/coingecko//api/v3//simple/price/", "", "coingecko", "price", "/api/v3/simple/price"),
        ("//coingecko/api/v3/simple/price", "", "coingecko", "price", "/api/v3/simple/price"),
        ("/coingecko/fng", "", "coingecko", "slash", "/fng/"),
        ("/coingecko/fng//", "", "coingecko", "slash", "/fng/"),
        ("/coingecko/nope//x/", "", "coingecko", "unmatched", "/nope//x/"),
        ("/coingecko//evil.test/x", "", "coingecko", "unmatched", "/evil.test/x"),
        ("/coingecko", "", "coingecko", "unmatched", "/"),
        ("/site//a//b/", "", "site", "all", "//a//b/"),
        ("/site", "", "site", "all", "/"),
        ("/coingecko/deep/x", "", "deep", "x", "/x"),
        ("/coingeckoish/x", "", "root", "unmatched", "/coingeckoish/x"),
        ("/COINGECKO/x", "", "root", "unmatched", "/COINGECKO/x"),
        ("/x", "", "root", "x", "/x"),
        ("/", "", "root", "home", "/"),
        ("", "", "root", "home", "/"),
    ],
)
def test_meets_by_prefix(
    path: str, query: str, upstream: str, endpoint: str, forwarded: str | None
) -> None:
    """The longest prefix, then the most particular endpoint; the path goes on tidied once met."""
    match = _met(path, query)

    assert (match.upstream.name, match.endpoint.name) == (upstream, endpoint)
    assert match.by == "prefix"
    assert match.query == query
    if forwarded is not None:
        assert match.path == forwarded


@pytest.mark.parametrize(
    ("path", "host", "port", "upstream", "by", "forwarded"),
    [
        ("/api/v3/ping", "coingecko.localhost", 8080, "coingecko", "host", "/api/v3/ping"),
        ("/coingecko/x", "coingecko.localhost", 8080, "coingecko", "host", "/coingecko/x"),
        ("/x", "coingecko.localhost", 9001, "deep", "port", "/x"),
        ("/coingecko/deep/x", "", 9001, "deep", "port", "/coingecko/deep/x"),
        ("/coingecko/deep/x", "", 8080, "deep", "prefix", "/x"),
    ],
)
def test_port_before_host_before_prefix(
    path: str, host: str, port: int, upstream: str, by: str, forwarded: str
) -> None:
    """A prefix is cut off only where it was what met."""
    match = _met(path, host=host, port=port)

    assert (match.upstream.name, match.by, match.path) == (upstream, by, forwarded)


def test_ports_that_the_system_chose() -> None:
    """A listener on port 0 is met by the port that it got."""
    routes = Routes((replace(DEEP, listen="127.0.0.1:0"),), {4711: "deep"})
    route = routes.match(Request("GET", "/x", "", (), port=4711))

    assert isinstance(route, Match)
    assert route.by == "port"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/coingecko/api/v3/coins/a%2Fb", (("id", "a/b"),)),
        ("/coingecko/api/v3/coins/a%20b", (("id", "a b"),)),
        ("/coingecko/api/v3/coins/a+b", (("id", "a+b"),)),
        ("/coingecko/api/v3/coins/%C3%A9", (("id", "é"),)),
        ("/coingecko/api/v3/onchain/a/b%20c", (("rest", "a/b c"),)),
        ("/coingecko/api/v3/onchain/", (("rest", ""),)),
        ("/coingecko/api/v3/simple/price", ()),
    ],
)
def test_variables_are_decoded(path: str, expected: tuple[tuple[str, str], ...]) -> None:
    """A variable is one decoded segment, a rest all that remains; `+` is no space in a path."""
    assert _met(path).variables == expected


@pytest.mark.parametrize(
    "path",
    [
        "/coingecko/../x",
        "/coingecko/./x",
        "/coingecko/..",
        "/coingecko/%2e%2e/x",
        "/coingecko/%2E./x",
        "/coingecko/.%2e",
        "/coingecko/a%2f..%2fb",
        "/coingecko/..%5cb",
        "/coingecko/..\\b",
        "/coingecko/..;a=b/x",
        "/coingecko/%252e%252e/x",
        "/coingecko/%252e%252e%252fx",
        "/coingecko/a%00b",
        "/coingecko/a%0d%0ab",
        "/coingecko/a\x00b",
        "/coingecko%2f..%2fsite",
        "coingecko/x",
        "*",
    ],
)
def test_out_of_bounds(path: str) -> None:
    """Whatever some server would resolve to another path, or cannot be a path, is refused."""
    assert isinstance(ROUTES.match(Request("GET", path, "", ())), OutOfBounds)


@pytest.mark.parametrize(
    "path", ["/.well-known/x", "/...", "/a..b", "/..a", "/v1.0/x", "/%2Fx", "/a%2Fb", "/a;b=.."]
)
def test_dots_that_are_names(path: str) -> None:
    """Dots within a name are a name."""
    assert _met(path).path == path


def test_no_match_names_what_there_is() -> None:
    """Where no upstream is met, the answer can list those there are."""
    routes = Routes((GECKO, STRICT))
    route = routes.match(Request("GET", "/nope", "", ()))

    assert isinstance(route, NoMatch)
    assert route.upstreams == ("coingecko", "strict")
    assert route.upstream == ""


def test_refuses_what_meets_no_endpoint() -> None:
    """`unmatched: refuse` gives no match, and says whose."""
    route = ROUTES.match(Request("GET", "/strict/nope", "", ()))

    assert isinstance(route, NoMatch)
    assert route.upstream == "strict"


def test_methods_do_not_choose() -> None:
    """The endpoint is the same for every method."""
    request = Request("POST", "/coingecko/api/v3/coins/btc", "", ())
    route = ROUTES.match(request)

    assert isinstance(route, Match)
    assert route.endpoint.name == "coin"


def test_written_path_is_kept() -> None:
    """What a signature may cover is there as the client wrote it, beside the tidied path."""
    match = _met("/coingecko//api/v3//simple/price/")

    assert match.written == "/api/v3//simple/price/"
    assert match.path == "/api/v3/simple/price"


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        ("/coingecko/api/v3/coins/btc", "", "not coin_metadata: it wants market_data=false"),
        (
            "/coingecko/api/v3/coins/btc",
            "",
            "endpoint coin: /api/v3/coins/{id} is met ({id} = 'btc')",
        ),
        ("/coingecko/api/v3/coins/list", "", "not coin: /api/v3/coins/{id} is less particular"),
        ("/coingecko/api/v3/coins/b", "market_data=false", "market_data=false as it wants"),
        ("/coingecko/nope", "", "endpoint unmatched: no path of coingecko is met"),
        ("/coingecko/nope", "", "/coingecko is the longest prefix"),
        ("/strict/nope", "", "no endpoint of strict is met"),
        ("/strict/nope", "", "upstreams: coingecko, deep, root, site, strict"),
        ("/a/../b", "", "out of bounds: the path holds a dot segment"),
    ],
)
def test_explains(path: str, query: str, said: str) -> None:
    """The reasons name what met, what was passed over, and what it wanted."""
    lines = ROUTES.explain(Request("GET", path, query, ()))

    assert any(said in line for line in lines), lines


def test_explains_host_and_port() -> None:
    """The reason names the Host or the port that met."""
    by_host = ROUTES.explain(Request("GET", "/x", "", (), host="coingecko.localhost"))
    by_port = ROUTES.explain(Request("GET", "/x", "", (), port=9001))

    assert by_host[0] == "upstream coingecko: Host coingecko.localhost is its own"
    assert by_port[0] == "upstream deep: port 9001 is its own"


_SEGMENT = st.sampled_from(["a", "b", "{v}"])


@given(
    templates=st.lists(st.tuples(st.lists(_SEGMENT, max_size=4), st.booleans()), max_size=8),
    path=st.lists(st.sampled_from(["a", "b", "c"]), max_size=5),
)
def test_the_most_particular_endpoint_is_met(
    templates: list[tuple[list[str], bool]], path: list[str]
) -> None:
    """The trie chooses what a scan over all endpoints, sorted by specificity, would."""
    endpoints = []
    for number, (parts, rest) in enumerate(templates):
        named = [part.replace("v", f"v{index}") for index, part in enumerate(parts)]
        template = "/" + "/".join([*named, "{r:path}"] if rest else named)
        endpoints.append(_endpoint(str(number), template))
    upstream = _upstream("u", "/", *endpoints)
    route = Routes((upstream,)).match(Request("GET", "/" + "/".join(path), "", ()))
    fitting = sorted((e for e in endpoints if _fits(e, path)), key=specificity)

    assert isinstance(route, Match)
    assert route.endpoint is (fitting[0] if fitting else upstream.unmatched)


def _fits(endpoint: Endpoint, path: list[str]) -> bool:
    shape = list(endpoint.segments)
    rest = bool(shape) and shape[-1].kind == "rest"
    if rest:
        shape.pop()
    if len(path) < len(shape) or (len(path) > len(shape) and not rest):
        return False
    return all(s.kind == "variable" or s.text == p for s, p in zip(shape, path, strict=False))


def test_a_target_is_matched_once() -> None:
    """The same target by the same way in gives the same match; what differs in any does not."""
    routes = Routes((GECKO, DEEP))
    request = Request("GET", "/coingecko/deep/x", "a=1", ())
    match = routes.match(request)

    assert routes.match(replace(request, method="HEAD", fields=(("A", "b"),))) is match
    for other in (
        replace(request, path="/coingecko/deep/y"),
        replace(request, query="a=2"),
        replace(request, host="coingecko.localhost"),
        replace(request, port=9001),
    ):
        assert routes.match(other) is not match


def test_what_is_remembered_is_bounded() -> None:
    """A flood of targets pushes out what is not asked for; a huge target is never kept."""
    routes = Routes((GECKO,))
    often = Request("GET", "/coingecko/fng", "often", ())
    match, seldom = routes.match(often), routes.match(replace(often, query="seldom"))
    for number in range(2 * REMEMBERED):
        routes.match(Request("GET", "/coingecko/fng", f"n={number}", ()))
        if number % 1000 == 0:
            assert routes.match(often) is match
    routes.match(Request("GET", "/coingecko/fng", "x" * 9999, ()))
    routes.match(Request("GET", "/coingecko/fng", "", (), "h" * 9999))

    assert routes.match(replace(often, query="seldom")) is not seldom
    remembered = [*routes._met, *routes._met_before]
    assert REMEMBERED // 2 <= len(remembered) <= REMEMBERED
    assert all(len(path) + len(query) + len(host) < 9999 for path, query, host, _ in remembered)
    assert all(len(query) < 100 for _, query, _, _ in remembered)


def test_many_endpoints_are_not_scanned() -> None:
    """A match looks only at what its segments lead to: ten thousand siblings cost nothing."""
    many = [_endpoint(f"e{n}", f"/api/x{n}/{{id}}") for n in range(10_000)]
    routes = Routes((_upstream("u", "/u", *many),))
    route = routes.match(Request("GET", "/u/api/x7777/y", "", ()))

    assert isinstance(route, Match)
    assert route.endpoint.name == "e7777"
    assert len(routes.explain(Request("GET", "/u/api/x7777/y", "", ()))) == 2


PARTS = st.sampled_from(
    [
        "coingecko", "deep", "api", "v3", "coins", "list", "bitcoin", "only", "onchain", "fng",
        "site", "x", "a%20b", "é", ".", "..;x", "\x7f", "%2e", "",
    ]
)  # fmt: skip
FOLDERS = st.sampled_from(
    [
        "", "/coingecko", "/coingecko/api/v3/coins", "/api/v3/coins", "/coingecko/api/v3/simple",
        "/coingecko/deep", "/site/x", "/coingecko/api/v3/coins/bitcoin", "/strict", "/x/",
    ]
)  # fmt: skip


@given(
    asked=st.lists(
        st.tuples(
            FOLDERS,
            st.lists(PARTS, max_size=4),
            st.sampled_from(["", "market_data=false"]),
            st.sampled_from([("", 0), ("coingecko.localhost", 0), ("", 9001)]),
        ),
        max_size=6,
    )
)
def test_what_is_known_of_a_folder_changes_no_match(
    asked: list[tuple[str, list[str], str, tuple[str, int]]],
) -> None:
    """By what its folder was met by before, or walked from the start: the very same rule."""
    routes = Routes((GECKO, OBEDIENT, DEEP, ROOT, STRICT))
    for folder, parts, query, (host, port) in asked:
        request = Request("GET", "/".join([folder, *parts]), query, (), host, port)
        walked, met = routes._walked(request), routes._match(request)

        if isinstance(walked, Match):
            assert isinstance(met, Match)
            assert structs.astuple(walked) == structs.astuple(met)
        else:
            assert walked == met


@pytest.mark.parametrize("path", ["/coingecko/api/v3/coins/x", "/coingecko/fng", "/site/x"])
def test_folders_are_bounded(path: str) -> None:
    """Clients choose folders and hosts: neither many nor long ones fill memory."""
    routes = Routes((GECKO, OBEDIENT))
    for number in range(3000):
        routes.match(Request("GET", path, "", (), f"h{number}"))
    routes.match(Request("GET", path, "", (), "h" * 9999))
    routes.match(Request("GET", "/x" * 9999, "", ()))

    assert len(routes._places) <= routing._MOST_PLACES
    assert all(len(folder) + len(host) <= routing._SHORT for folder, host, _ in routes._places)
