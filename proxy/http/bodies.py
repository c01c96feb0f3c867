"""A request's body, as the flow reads it: once, as it arrives, within a bound.

- A client that waits for `100 Continue` gets it when somebody wants the body (RFC 9110 section
  10.1.1), and not at all where nobody does.
- A body that is too large, too slow or broken ends the reading with `BodyError`; `broken` keeps
  it, since an upstream client that was reading reports a failure of its own.
"""

import asyncio
from collections.abc import AsyncIterator

from aiohttp.web_protocol import RequestPayloadError

from proxy.answer import Problem
from proxy.http.heads import CONTINUE
from proxy.http.inbound import Inbound


class BodyError(Exception):
    """The client's body cannot be had; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class RequestBody:
    """The body of one request."""

    def __init__(self, inbound: Inbound, most: int, patience: float) -> None:
        """Take the request, the most bytes, and how many seconds to wait for the next ones."""
        headers = inbound.message.headers
        self._inbound = inbound
        self._most = most
        self._patience = patience
        self._length = _length(headers.get("Content-Length"))
        self._expects = headers.get("Expect", "").strip().lower()
        self._size = 0
        self.broken: Problem | None = None
        """Why the body could not be had, where it was asked for."""

    def refused(self) -> Problem | None:
        """Return why the head alone says that the body cannot be taken."""
        if self._expects not in {"", "100-continue"}:
            return Problem(417, "Expectation Failed", "Only 100-continue is met.", "expectation")
        return self._too_large() if self._length is not None and self._length > self._most else None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._expects:
            self._expects = ""
            self._inbound.connection.write(CONTINUE)
        chunk = await self._next()
        if not chunk:
            raise StopAsyncIteration
        self._size += len(chunk)
        if self._size > self._most:
            raise self._break(self._too_large())
        return chunk

    async def _next(self) -> bytes:
        connection, body = self._inbound.connection, self._inbound.body
        connection.reading = body
        try:
            async with asyncio.timeout(self._patience):
                return await body.readany()
        except TimeoutError:
            late = Problem(408, "Request Timeout", "The body did not come.", "body-timeout")
            raise self._break(late) from None
        except (RequestPayloadError, ConnectionError) as error:
            garbled = Problem(400, "Bad Request", "The body is not framed as HTTP.", "bad-body")
            raise self._break(garbled) from error
        finally:
            connection.reading = None

    def _break(self, problem: Problem) -> BodyError:
        self.broken = problem
        return BodyError(problem)

    def _too_large(self) -> Problem:
        detail = f"A request's body may have {self._most} bytes."
        return Problem(413, "Content Too Large", detail, "body-too-large")


def _length(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() else None
