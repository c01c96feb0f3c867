"""Requests that share a call: members, replies cut up and put together."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.batches import BROKEN, asking, compose, is_list, members, split
from proxy.core.model import Request
from proxy.core.routing import Match, Routes
from proxy.core.shapes import Batch, Case, ListForm, Order
from tests.house import endpoint, upstream
from tests.values import replace

PRICES = Batch("ids", most=3)
TICKERS = Batch("symbols", form=ListForm.JSON, single="symbol", field=("symbol",))
TOKENS = Batch(
    "addresses", in_path=True, field=("baseToken", "address"), several=True, case=Case.HEX
)
QUOTES = Batch("id", at="data")
PIPED = Batch("ids", separator="|")

ROUTES = Routes(
    (
        upstream(
            endpoint("price", "/price"),
            endpoint("ticker", "/ticker"),
            endpoint("tokens", "/tokens/v1/{chain}/{addresses}"),
        ),
    )
)


def met(target: str) -> tuple[Match, Request]:
    path, _, query = target.partition("?")
    request = Request("GET", f"/coingecko{path}", query, ())
    match = ROUTES.match(request)
    assert isinstance(match, Match)
    return match, request


@pytest.mark.parametrize(
    ("batch", "target", "expected"),
    [
        (PRICES, "/price?ids=b,a&vs=usd", ("b", "a")),
        (PRICES, "/price?ids=b%2Ca", ("b", "a")),
        (PRICES, "/price?ids=a,a,b", ("a", "b")),
        (PRICES, "/price?ids=a,b,c,d", None),  # more than a call takes
        (PRICES, "/price?ids=a,", None),
        (PRICES, "/price?ids=", None),
        (PRICES, "/price?ids=a&ids=b", None),
        (PRICES, "/price?vs=usd", None),
        (PRICES, "/price?ids=a%20b", None),
        (PRICES, "/price?ids=%C3%A9", ("é",)),
        (PIPED, "/price?ids=b%7Ca", ("b", "a")),
        (PIPED, "/price?ids=b|a", ("b", "a")),
        (PIPED, "/price?ids=b,a", None),
        (TICKERS, "/ticker?symbol=BTC", ("BTC",)),
        (TICKERS, '/ticker?symbols=["BTC","ETH"]', ("BTC", "ETH")),
        (TICKERS, "/ticker?symbols=%5B%22BTC%22%2C%22ETH%22%5D", ("BTC", "ETH")),
        (TICKERS, "/ticker?symbols=BTC", None),
        (TICKERS, '/ticker?symbols=["B,T"]', None),
        (TICKERS, '/ticker?symbol=A&symbols=["B"]', None),
        (TICKERS, "/ticker", None),
        (TOKENS, "/tokens/v1/solana/0xAb,Cd", ("0xab", "Cd")),
    ],
)
def test_members(batch: Batch, target: str, expected: tuple[str, ...] | None) -> None:
    """A list is read as the provider reads it; what is not plain is left alone."""
    assert expected == members(batch, met(target)[0])


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ('/ticker?symbols=["BTC","BTC"]', None),
        ('/ticker?symbols=["BTC","ETH","\\u0042TC"]', None),  # read, it is the same
        ('/ticker?symbols=["BTC","btc"]', ("BTC", "btc")),
        ("/ticker?symbol=BTC", ("BTC",)),
    ],
)
def test_a_list_that_is_refused(target: str, expected: tuple[str, ...] | None) -> None:
    """Where a member that is named twice is an error, whoever does so hears it."""
    assert expected == members(replace(TICKERS, unique=True), met(target)[0])


def test_two_spellings_name_it_twice() -> None:
    """Where the provider does not mind case, nor does what it refuses."""
    batch = replace(PRICES, unique=True, case=Case.LOWER)

    assert members(batch, met("/price?ids=BTC,btc")[0]) is None


def test_unless() -> None:
    """A parameter that changes what a list means leaves the request alone."""
    batch = Batch("ids", unless=frozenset({"page"}))

    assert members(batch, met("/price?ids=a&page=2")[0]) is None


@pytest.mark.parametrize(
    ("batch", "target", "wanted", "expected"),
    [
        (PRICES, "/price?vs=usd&ids=a", ("x", "y"), "/price?vs=usd&ids=x,y"),
        (PIPED, "/price?ids=a", ("x", "y"), "/price?ids=x%7Cy"),
        (TICKERS, "/ticker?symbols=[]", ("BTC",), "/ticker?symbol=BTC"),
        (TICKERS, "/ticker?symbol=BTC", ("A", "B"), "/ticker?symbols=%5B%22A%22%2C%22B%22%5D"),
        (TICKERS, "/ticker?symbol=BTC&type=MINI", (), "/ticker?type=MINI"),
        (TOKENS, "/tokens/v1/solana/a", ("a", "b"), "/tokens/v1/solana/a,b"),
    ],
)
def test_asking(batch: Batch, target: str, wanted: tuple[str, ...], expected: str) -> None:
    """The list is exchanged, all else stays as the client wrote it; one alone is asked bare."""
    asked = asking(batch, *met(target), wanted)
    path = asked.path + (f"?{asked.query}" if asked.query else "")

    assert f"/coingecko{expected}" == path


@given(
    st.dictionaries(
        st.text("abc0x-", min_size=1, max_size=4),
        st.decimals(allow_nan=False, allow_infinity=False, places=3),
        min_size=1,
    )
)
def test_numbers_are_never_read(prices: dict[str, object]) -> None:
    """Cutting and joining gives back the very bytes, in the provider's order."""
    rows = ",".join(f'"{name}":{{"usd":{price}}}' for name, price in prices.items())
    body = f"{{{rows}}}".encode()
    parts = split(Batch("ids"), body, tuple(prices), bare=False)

    assert parts is not None
    assert body == compose(Batch("ids"), list(parts.items()), listed=True)


@pytest.mark.parametrize("batch", [Batch("ids"), Batch("ids", at="data")])
def test_names_are_never_written_anew(batch: Batch) -> None:
    """However a provider escapes them, and whatever looks like a name: the very bytes again."""
    rows = b'{"\\u00e9":{"a\\"b":"x\\\\"},"b\\/c":[{"q":":"}],"\xc3\xa8":{"\\u0061":"}"},"z":1.0}'
    body = b'{"\\u0073tatus":{"at":"\\/"},"d\\u0061ta":' + rows + b"}" if batch.at else rows
    parts = split(batch, body, ("é", "b/c", "è", "z"), bare=False)

    assert parts is not None
    assert body == compose(batch, list(parts.items()), listed=True)


def test_a_name_that_is_written_in_two_ways_is_one() -> None:
    """As everywhere, what was said last stands, as it was written then."""
    parts = split(PRICES, b'{"a":1,"b":2,"\\u0061":3}', ("a", "b"), bare=False)

    assert {"a": b'{"\\u0061":3}', "b": b'{"b":2}'} == parts


@given(
    st.dictionaries(
        st.text(st.sampled_from('aé"\\/:{}[],\u2028\x7f\n'), min_size=1, max_size=5),
        st.recursive(
            st.none() | st.text('a"\\:{}[]', max_size=4),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text('a"\\'), inner),
            max_leaves=4,
        ),
        min_size=1,
        max_size=4,
    ),
    st.booleans(),
)
def test_any_object_is_cut_and_joined_byte_for_byte(
    rows: dict[str, object],
    escaped: bool,  # noqa: FBT001 - drawn
) -> None:
    """With all that JSON can say, written with escapes or without."""
    body = json.dumps(rows, ensure_ascii=escaped, separators=(",", ":")).encode()
    parts = split(Batch("ids"), body, tuple(rows), bare=False)

    assert parts is not None
    assert body == compose(Batch("ids"), list(parts.items()), listed=True)


def test_object_by_key() -> None:
    """Unknown members are absent from the reply, and have an empty one of their own."""
    parts = split(PRICES, b'{"a":{"usd":1.10},"b":{"usd":2e3}}', ("b", "zz"), bare=False)

    assert parts == {"b": b'{"b":{"usd":2e3}}', "zz": b"{}"}
    assert compose(PRICES, [("b", parts["b"]), ("zz", parts["zz"])], listed=True) == (
        b'{"b":{"usd":2e3}}'
    )


def test_array_by_field_and_bare_members() -> None:
    """A member alone is an object, several are an array of the same objects."""
    body = b'[{"symbol":"ETH","price":"1.50"},{"price":"2","symbol":"BTC"}]'
    parts = split(TICKERS, body, ("BTC", "ETH", "GONE"), bare=False)

    assert parts == {
        "BTC": b'{"price":"2","symbol":"BTC"}',
        "ETH": b'{"symbol":"ETH","price":"1.50"}',
    }
    assert body == compose(TICKERS, [("ETH", parts["ETH"]), ("BTC", parts["BTC"])], listed=True)
    assert parts["BTC"] == compose(TICKERS, [("BTC", parts["BTC"])], listed=False)


def test_a_member_named_twice() -> None:
    """Said twice, the last stands, unless several are declared."""
    body = b'[{"symbol":"A","p":1},{"symbol":"A","p":2}]'

    assert split(TICKERS, body, ("A",), bare=False) == {"A": b'{"symbol":"A","p":2}'}


def test_several_elements_and_another_case() -> None:
    """A token may have several pairs, and comes back in the provider's own spelling."""
    body = (
        b'[{"baseToken":{"address":"0xAB"},"n":1},{"baseToken":{"address":"So"},"n":2},'
        b'{"baseToken":{"address":"0xab"},"n":3}]'
    )
    parts = split(TOKENS, body, ("0xab", "So"), bare=False)

    assert parts is not None
    assert [1, 3] == [row["n"] for row in json.loads(parts["0xab"])]
    assert [1, 3, 2] == [
        row["n"] for row in json.loads(compose(TOKENS, list(parts.items()), listed=True))
    ]


def test_what_stands_around() -> None:
    """A status block goes with every member's reply, and with the composed one."""
    body = b'{"status":{"credit_count":1},"data":{"1":{"price":1.0},"2":{"price":2}}}'
    parts = split(QUOTES, body, ("2", "1"), bare=False)

    assert parts is not None
    assert parts["2"] == b'{"status":{"credit_count":1},"data":{"2":{"price":2}}}'
    assert body == compose(QUOTES, [("1", parts["1"]), ("2", parts["2"])], listed=True)


@pytest.mark.parametrize("body", [b"", b"[1,2]", b'{"a":', b'"text"', b'[{"no":"name"}]'])
def test_not_of_the_declared_shape(body: bytes) -> None:
    """What cannot be cut up is said to be so, never guessed at."""
    assert split(TICKERS, body, ("A",), bare=False) is None


DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize("batch", [PRICES, TICKERS, QUOTES, TOKENS])
def test_nested_beyond_all_reading(batch: Batch) -> None:
    """A reply that would exhaust whoever reads it is not of the declared shape either."""
    body = DEEP if batch.field else b'{"a":' + DEEP + b"}"

    assert split(batch, body, ("a",), bare=False) is None


@pytest.mark.parametrize(
    ("batch", "body"),
    [
        (PRICES, b'{"a\xe9":1}'),
        (PRICES, b'{"\\u0061":1,"a\xe9":1}'),
        (TICKERS, b'[{"symbol":"a\xe9"}]'),
    ],
)
def test_names_in_another_encoding(batch: Batch, body: bytes) -> None:
    """A reply whose names are no UTF-8 cannot be cut up: nobody knows whose is whose."""
    assert split(batch, body, ("a",), bare=False) is None


def test_a_bare_reply_is_the_members() -> None:
    """A call for one by its own parameter is its reply, whatever it says."""
    assert split(TICKERS, b'{"symbol":"A"}', ("A",), bare=True) == {"A": b'{"symbol":"A"}'}


def test_sorted_order() -> None:
    """Where the provider sorts, the composed reply is sorted too."""
    batch = Batch("ids", order=Order.SORTED)

    assert compose(batch, [("b", b'{"b":1}'), ("a", b'{"a":2}')], listed=True) == b'{"a":2,"b":1}'


def test_is_list() -> None:
    """The answer has the shape that the client asked for."""
    assert is_list(TICKERS, met('/ticker?symbols=["A"]')[0])
    assert not is_list(TICKERS, met("/ticker?symbol=A")[0])
    assert is_list(PRICES, met("/price?ids=a")[0])


def test_a_broken_member_is_an_error() -> None:
    """A stored member that is not of the shape is never put into a list."""
    with pytest.raises(msgspec.DecodeError):
        compose(PRICES, [("a", b"{"), ("b", b"{}")], listed=True)
    with pytest.raises(BROKEN):
        compose(PRICES, [("a", b'{"a":' + DEEP + b"}"), ("b", b"{}")], listed=True)


def test_ranked() -> None:
    """Where the provider ranks by a figure, so does the composed reply; without one comes last."""
    batch = Batch("ids", field=("id",), ranked=("cap",))
    rows = [
        ("a", b'[{"id":"a","cap":1.5}]'),
        ("n", b'[{"id":"n","cap":null}]'),
        ("b", b'[{"id":"b","cap":20}]'),
    ]

    assert compose(batch, rows, listed=True) == (
        b'[{"id":"b","cap":20},{"id":"a","cap":1.5},{"id":"n","cap":null}]'
    )


def test_longer_lists_than_one_call_is_made_for() -> None:
    """A list that the provider takes is composed, though its members go in several calls."""
    batch = Batch("ids", most=2, accepts=3)

    assert members(batch, met("/price?ids=a,b,c")[0]) == ("a", "b", "c")


def test_riders_have_a_reply_only_where_they_are_named() -> None:
    """Who asked learns that there is nothing; of one that nobody asked for nothing is said."""
    batch = Batch("ids")
    parts = split(batch, b'{"a":1.50,"c":2}', ("a", "b"), bare=False, riding=("c", "d"))

    assert {"a": b'{"a":1.50}', "b": b"{}", "c": b'{"c":2}'} == parts
