"""What is wrong with a head, as a problem, and the bounds that make it so."""

from aiohttp.http_exceptions import LineTooLong

from proxy.answer import Problem

MAX_TARGET = 32 * 1024
"""Longest request target, bytes: lists of symbols and addresses stand in it."""
MAX_FIELD = 16 * 1024
"""Longest field line, bytes. It differs from `MAX_TARGET`, for aiohttp's error names the bound
that was broken and nothing else that tells a long target (414) from a long field (431)."""
MAX_FIELDS = 128


def parse_problem(status: int, error: BaseException | None) -> Problem:
    """Return the problem of what could not be parsed."""
    if isinstance(error, LineTooLong):
        if error.args[1] == MAX_TARGET:
            return own_problem(
                414, "URI Too Long", f"The target is longer than {MAX_TARGET} bytes."
            )
        return own_problem(
            431, "Request Header Fields Too Large", f"A field is longer than {MAX_FIELD} bytes."
        )
    if error is not None and "Too many headers" in str(error):
        return own_problem(
            431, "Request Header Fields Too Large", f"There are more than {MAX_FIELDS} fields."
        )
    if status < 500:  # noqa: PLR2004 - the class of the client's own errors
        return own_problem(400, "Bad Request", "This is not HTTP/1.1 as RFC 9112 has it.")
    return own_problem(500, "Internal Server Error", "The proxy met an error of its own.")


def own_problem(status: int, title: str, detail: str) -> Problem:
    """Return a problem of a connection's own."""
    kind = title.lower().replace(" ", "-")
    waits = 1.0 if status == 503 else None  # noqa: PLR2004 - RFC 9110 section 15.6.4
    return Problem(status, title, detail, kind, retry_after=waits)
