"""Lines that wait for the end of their turn, and those that do not."""

import asyncio
import io
from select import PIPE_BUF

import pytest

from proxy.log_lines import Lines


class Stream(io.StringIO):
    """A stream that notes each write apart."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return len(text)


async def test_lines_of_a_turn_are_one_write() -> None:
    """Sixteen calls that end together cost one write, at the end of their turn of the loop."""
    lines = Lines(stream := Stream())
    lines.soon("a")
    lines.soon("b")
    assert stream.writes == []
    await asyncio.sleep(0)
    lines.soon("c")
    await asyncio.sleep(0)

    assert ["a\nb\n", "c\n"] == stream.writes


async def test_an_urgent_line_takes_those_before_it_along() -> None:
    """The order in which things happened stands, and nothing is written twice."""
    lines = Lines(stream := Stream())
    lines.soon("call")
    lines.msg("error")
    await asyncio.sleep(0)

    assert ["call\nerror\n"] == stream.writes


@pytest.mark.parametrize("line", ["x" * 300, "\u00e9" * 300, "\U0001f40d" * 300])
async def test_no_line_can_be_torn(line: str) -> None:
    """A pipe takes so much whole; of lines that are more together, each write is whole lines."""
    lines = Lines(stream := Stream())
    for _ in range(40):
        lines.soon(line)
    await asyncio.sleep(0)

    assert f"{line}\n" * 40 == "".join(stream.writes)
    assert 1 < len(stream.writes) < 40
    for written in stream.writes:
        assert written.endswith("\n")
        assert len(written.encode()) <= PIPE_BUF


async def test_a_line_longer_than_a_pipe_takes_goes_by_itself() -> None:
    """It cannot be helped, and takes no other line with it."""
    lines = Lines(stream := Stream())
    for line in ("a", "x" * 2 * PIPE_BUF, "b"):
        lines.soon(line)
    await asyncio.sleep(0)

    assert ["a\n", "x" * 2 * PIPE_BUF + "\n", "b\n"] == stream.writes


def test_without_a_loop_nothing_waits() -> None:
    """Nobody would come back to write it."""
    lines = Lines(stream := Stream())
    lines.soon("a")

    assert ["a\n"] == stream.writes


def test_what_waits_when_the_loop_ends_can_still_be_written() -> None:
    """The process writes it as it ends."""
    lines = Lines(stream := Stream())

    async def log() -> None:
        lines.soon("last words")

    loop = asyncio.new_event_loop()
    loop.run_until_complete(log())
    loop.close()
    lines.flush()

    assert "last words\n" == "".join(stream.writes)
