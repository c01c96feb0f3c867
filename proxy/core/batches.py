"""Requests that can share a call: which members a list names, a reply cut up, replies put together.

`ids=bitcoin` and `ids=ethereum,bitcoin` are members of one list. Each member has a request of its
own (`ids=bitcoin`, or `symbol=BTCUSDT` where the provider has a parameter for one), and an entry
of its own under that request's key: what the provider answers for it alone. A call for several is
cut into those answers, and a list is answered by putting them together in the shape, and in the
order, of the provider. Members are cut and joined as raw JSON: no number is ever read, and no name
is written anew.

Left alone, and asked as they came: lists longer than the provider takes, with empty members or
members that hold the separator, those that name a member twice where that is refused (`unique`),
repeated list parameters, and `unless` parameters (pages, orders).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from proxy.core import parameters
from proxy.core.model import Request
from proxy.core.routing import Match
from proxy.core.shapes import Batch, ListForm, Order

Members: TypeAlias = tuple[str, ...]
Parts: TypeAlias = Mapping[str, bytes]
"""The reply that each member gets for itself; one that the provider left out has none."""
Element: TypeAlias = tuple[str, bytes, bytes]
"""What a reply holds of a member: its name; raw, its value; raw, its key, where it has one."""

BROKEN: Final = (msgspec.DecodeError, UnicodeDecodeError, KeyError, RecursionError)
"""What a body brings about that is not of the declared shape, no UTF-8, or nested beyond reading.
"""

_tokens = re.compile(rb'"(?:[^"\\]|\\.)*+"|[{}\[\]:]').finditer


# ── Requests ──


def members(batch: Batch, match: Match) -> Members | None:
    """Return the members that a request asks for, in its order, each once; None: left alone."""
    if any(name in batch.unless for name, _ in match.parameters):
        return None
    listed = _values(batch.parameter, match.variables if batch.in_path else match.parameters)
    single = _values(batch.single, match.parameters) if batch.single else []
    if len(listed) + len(single) != 1:
        return None
    found = [single[0]] if single else _read(batch, listed[0])
    if not found or len(found) > (batch.accepts or batch.most):
        return None
    if not all(_is_plain(member, batch.separator) for member in found):
        return None
    named = tuple(dict.fromkeys(batch.same(member) for member in found))
    return None if batch.unique and len(named) < len(found) else named


def is_list(batch: Batch, match: Match) -> bool:
    """Return whether the answer to a batchable request is a list and not a member bare."""
    return not batch.single or not _values(batch.single, match.parameters)


def _values(name: str, pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [value for key, value in pairs if key == name] if name else []


def _read(batch: Batch, written: str) -> list[str]:
    if batch.form is ListForm.COMMA:
        return written.split(batch.separator)
    try:
        return msgspec.json.decode(written.encode("utf-8", "surrogateescape"), type=list[str])
    except (msgspec.DecodeError, UnicodeError):
        return []


def _is_plain(member: str, separator: str) -> bool:
    """Whether a member can be told apart in a list, however that is read."""
    return bool(member) and member.isprintable() and not set(member) & {*',"\\/ ', separator}


def asking(batch: Batch, match: Match, request: Request, wanted: Members) -> Request:
    """Return the request for these members; for none, the one for all there are."""
    if batch.in_path:
        return replace(request, path=_path(batch, match, request, wanted), method="GET")
    own = {batch.parameter, batch.single}
    kept = parameters.without(request.query, lambda name, _: name in own)
    if not wanted:
        added = ""
    elif len(wanted) == 1 and batch.single:
        added = f"{batch.single}={_quoted(wanted[0])}"
    elif batch.form is ListForm.JSON:
        text = msgspec.json.encode(list(wanted)).decode()
        added = f"{batch.parameter}={_quoted(text)}"
    else:
        added = f"{batch.parameter}={_joined(batch, wanted)}"
    return replace(request, query="&".join(filter(None, (kept, added))), method="GET")


def _joined(batch: Batch, wanted: Members) -> str:
    return quote(batch.separator, safe=",;:").join(map(_quoted, wanted))


def _quoted(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="")


def _path(batch: Batch, match: Match, request: Request, wanted: Members) -> str:
    """Return the path with the list's segment replaced; templates hold it once."""
    variables = [each.text for each in match.endpoint.segments if each.kind != "literal"]
    place = [each.kind != "literal" for each in match.endpoint.segments]
    index = [number for number, is_one in enumerate(place) if is_one][
        variables.index(batch.parameter)
    ]
    met = len([each for each in match.path.split("/") if each])
    pieces = [each for each in request.path.split("/") if each]
    pieces[len(pieces) - met + index] = _joined(batch, wanted)
    return "/" + "/".join(pieces)


# ── Replies ──


def split(
    batch: Batch, body: bytes, wanted: Members, *, bare: bool, riding: Members = ()
) -> Parts | None:
    """Return each member's own reply; None: the body is not of the declared shape.

    `bare`: the call was for one member by its `single` parameter. A member that the provider
    names twice keeps what it said last; several elements are kept where that is declared. Of those
    `riding`, for whom nobody asked just now, only who is named has a reply. Who is not named has an
    empty one, unless it is named in another case: what that means, its own call says.
    """
    if bare:
        return {wanted[0]: body}
    try:
        outer, container = _opened(batch, body)
        found = _named(batch, container)
    except BROKEN:
        return None
    asked = {*wanted, *riding}
    parts: dict[str, list[Element]] = {}
    spellings = set()
    for element in found:
        member = batch.same(element[0])
        spellings.add(member.casefold())
        if member in asked:
            kept = parts.setdefault(member, [])
            if not batch.several:
                kept.clear()
            kept.append(element)
    if batch.single:
        return {member: elements[-1][1] for member, elements in parts.items()}
    wrap = _wrapper(batch, outer)
    own = {member: wrap(elements) for member, elements in parts.items()}
    none = wrap(())
    return own | {
        member: none
        for member in wanted
        if member not in parts and member.casefold() not in spellings
    }


def compose(batch: Batch, answers: Sequence[tuple[str, bytes]], *, listed: bool) -> bytes:
    """Return the reply for a list, from the members' own replies in the order asked.

    What stands around the members (a status block) is taken from the last of them.

    Raises:
        BROKEN: a member's reply is not of the declared shape.

    """
    if not listed:
        return answers[0][1]
    elements: list[Element] = []
    outer: Sequence[Element] = ()
    for member, body in answers:
        if batch.single:
            elements.append((member, body, b""))
            continue
        outer, container = _opened(batch, body)
        elements += _named(batch, container) if container else ()
    if not batch.several:  # asked for in two spellings, it is one
        elements = list({each[0]: each for each in elements}.values())
    if batch.order is Order.SORTED:
        elements.sort(key=lambda each: each[0])
    if batch.ranked:
        elements.sort(key=lambda each: _rank(batch, each[1]), reverse=True)  # stable
    return _wrapper(batch, outer)(elements)


def _opened(batch: Batch, body: bytes) -> tuple[Sequence[Element], bytes]:
    """Return what stands around the container, that among it, and the container, raw."""
    if not batch.at:
        return (), body
    outer = _pairs(body)
    return outer, {name: value for name, value, _ in outer}[batch.at]


def _named(batch: Batch, container: bytes) -> list[Element]:
    """Return the members in a container, as the provider names them, raw."""
    if container.strip() == b"null":
        return []
    if not batch.field:
        return _pairs(container)
    found: list[Element] = []
    for raw in msgspec.json.decode(container, type=list[msgspec.Raw]):
        name: Any = msgspec.json.decode(raw, type=_namer(batch.field))
        for _ in batch.field:
            name = name.member
        found.append((name if isinstance(name, str) else str(name), bytes(raw), b""))
    return found


def _pairs(text: bytes) -> list[Element]:
    """Return what an object holds, in its order; of a name that is there twice, the last."""
    whole = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    if b"\\" not in text:  # then each is written in one way only
        return [(name, bytes(raw), msgspec.json.encode(name)) for name, raw in whole.items()]
    written = {msgspec.json.decode(key, type=str): key for key in _keys(text)}
    return [(name, bytes(raw), written[name]) for name, raw in whole.items()]


def _keys(text: bytes) -> Iterator[bytes]:
    """Yield the keys of an object that is sound, as they are written."""
    depth, last = 0, b""
    for found in _tokens(text):
        token = found[0]
        if token in {b"{", b"["}:
            depth += 1
        elif token in {b"}", b"]"}:
            depth -= 1
        elif token != b":":
            last = token
        elif depth == 1:
            yield last


def _wrapper(batch: Batch, outer: Sequence[Element]) -> Callable[[Sequence[Element]], bytes]:
    """Return what puts elements back into the shape of a whole reply."""

    def wrap(elements: Sequence[Element]) -> bytes:
        if batch.field:
            container = b"[" + b",".join([value for _, value, _ in elements]) + b"]"
        else:
            container = _object(elements)
        if not batch.at:
            return container
        return _object(
            [(name, container if name == batch.at else raw, key) for name, raw, key in outer]
        )

    return wrap


def _object(pairs: Sequence[Element]) -> bytes:
    return b"{" + b",".join([key + b":" + value for _, value, key in pairs]) + b"}"


def _rank(batch: Batch, element: bytes) -> float:
    """Return the figure that ranks an element; what has none comes last."""
    figure: Any = msgspec.json.decode(element, type=_reader(batch.ranked, float | None))
    for _ in batch.ranked:
        figure = figure.member
    return float("-inf") if figure is None else float(figure)


def _namer(path: tuple[str, ...]) -> Any:
    return _reader(path, str | int)


@lru_cache(maxsize=64)
def _reader(path: tuple[str, ...], kind: Any) -> Any:
    """Build the type that reads one member of an element, and skips the rest."""
    for name in reversed(path):
        kind = msgspec.defstruct("Element", [("member", kind)], rename={"member": name})
    return kind
