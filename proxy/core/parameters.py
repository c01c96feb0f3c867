"""Query strings: decoded pairs, and what is cut from the raw form.

Decoded as browsers and urllib do (WHATWG URL, application/x-www-form-urlencoded): `&` separates,
`+` is a space, `a` and `a=` are the same, empty pieces are skipped. Bytes that are no UTF-8 become
lone surrogates (PEP 383), so that different bytes stay different.
"""

import re
from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import quote, unquote

Parameters: TypeAlias = tuple[tuple[str, str], ...]
"""Decoded names and values, in the order in which they were written."""

_READABLE = "-._~,:[]\"!$'()*@"
_is_readable = re.compile(r"[A-Za-z0-9\-._~,:\[\]\"!$'()*@]*").fullmatch


def decode(query: str) -> Parameters:
    """Return the decoded parameters of a raw query."""
    if not query:
        return ()
    coded = "%" in query or "+" in query
    pairs: list[tuple[str, str]] = []
    for piece in query.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        pairs.append((_decoded(name), _decoded(value)) if coded else (name, value))
    return tuple(pairs)


def without(query: str, unwanted: Callable[[str, str], bool]) -> str:
    """Return the raw query less the parameters whose decoded name and value are `unwanted`.

    What stays, stays as it was written.
    """
    if not query:
        return query
    pieces = query.split("&")
    kept = [piece for piece in pieces if not piece or not unwanted(*pair(piece))]
    return query if len(kept) == len(pieces) else "&".join(kept)


def pair(piece: str) -> tuple[str, str]:
    """Return the decoded name and value of one raw `name=value`."""
    name, _, value = piece.partition("=")
    return _decoded(name), _decoded(value)


def quoted(text: str) -> str:
    """Return `text` readable in ASCII, with all that separates parts of a key escaped.

    `/ ? & = ; #`, `%`, blanks, controls and all beyond ASCII are percent-encoded: no two texts
    have the same quoted form.
    """
    if text.isascii() and (text.isalnum() or _is_readable(text)):
        return text
    return quote(text.encode("utf-8", "surrogateescape"), safe=_READABLE)


def _decoded(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="surrogateescape") if "%" in text else text
