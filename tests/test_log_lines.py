"""Lines that wait for the end of their turn, and those that do not."""

import asyncio
import io

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
