"""The demo: sandbox, proxy and a swarm of bots together, and a table of what is saved.

On a terminal the table is drawn over itself once a second; elsewhere a line is printed every five
seconds. The table is printed once more at the end.
"""

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TextIO, TypeAlias

from proxy.core.model import Verdict
from proxy.sandbox.faults import Latency
from proxy.sandbox.sandbox import Sandbox
from proxy.sandbox.swarm import FAILED, Swarm, Tally, hatch
from proxy.tasks import Tasks

SEVEN = (
    "coingecko", "binance", "binance-futures", "dexscreener", "coinmarketcap", "cryptopanic",
    "fear-and-greed",
)  # fmt: skip
KEYS = {
    "COINGECKO_API_KEY": "sandbox-key",
    "COINMARKETCAP_API_KEY": "sandbox-key",
    "CRYPTOPANIC_API_KEY": "sandbox-key",
}
"""What the shipped configuration needs beside base URLs; the sandbox takes any key."""
SHOWN = (
    Verdict.HIT, Verdict.STALE, Verdict.JOINED, Verdict.MISS, Verdict.REVALIDATED, Verdict.RESCUED,
    Verdict.REFUSED, Verdict.BYPASS, FAILED,
)  # fmt: skip
TERMINAL_PERIOD = 1.0
PLAIN_PERIOD = 5.0

Start: TypeAlias = Callable[[Mapping[str, str]], AbstractAsyncContextManager[str]]
"""Starts a proxy in an environment, and yields the address of its traffic listener."""


@dataclass(frozen=True, slots=True)
class Row:
    """One provider's line of the table."""

    provider: str
    tally: Tally
    seen: int
    """Requests that the provider counted."""
    refused: int
    """Of these, those it refused."""

    @property
    def saved(self) -> int:
        """Questions answered without a call: what got no answer is not saved."""
        unanswered = self.tally.verdicts[Verdict.REFUSED] + self.tally.verdicts[FAILED]
        return self.tally.asked - unanswered - self.seen

    @property
    def share(self) -> float:
        """What was saved, in percent of what was asked."""
        return 100.0 * self.saved / self.tally.asked if self.tally.asked else 0.0


def rows(swarm: Swarm, sandbox: Sandbox) -> list[Row]:
    """Return a line for each provider that was asked, and one of sums."""
    found = []
    for name, tally in sorted(swarm.tallies.items()):
        counts = sandbox.counts(name)
        found.append(Row(name, tally, counts.requests, counts.refused))
    whole = Tally()
    for row in found:
        whole.asked += row.tally.asked
        whole.answered += row.tally.answered
        whole.seconds += row.tally.seconds
        whole.verdicts.update(row.tally.verdicts)
    seen, refused = sum(row.seen for row in found), sum(row.refused for row in found)
    return [*found, Row("all", whole, seen, refused)]


def table(shown: list[Row], seconds: float) -> str:
    """Return the table as text."""
    verdicts = [word for word in SHOWN if shown[-1].tally.verdicts[word]]
    heads = ["bots asked", "answered", *verdicts, "provider saw", "it refused", "saved", "saved %"]
    lines = [f"{'':16}" + "".join(f"{head:>{len(head) + 2}}" for head in heads)]
    for row in shown:
        counts = [row.tally.verdicts[word] for word in verdicts]
        cells = [row.tally.asked, row.tally.answered, *counts, row.seen, row.refused, row.saved]
        texts = [*map(str, cells), f"{row.share:.1f}"]
        padded = (f"{text:>{len(head) + 2}}" for text, head in zip(texts, heads, strict=True))
        lines.append(f"{row.provider:16}" + "".join(padded))
    waited = shown[-1].tally.seconds / max(1, shown[-1].tally.asked)
    lines.append(f"after {seconds:.0f} s; a bot waited {waited * 1000:.0f} ms for an answer")
    return "\n".join(lines)


def line(row: Row, seconds: float) -> str:
    """Return the sums on one line, for where no table can be redrawn."""
    words = " ".join(f"{word}={count}" for word, count in sorted(row.tally.verdicts.items()))
    return (
        f"{seconds:.0f} s: asked={row.tally.asked} provider_saw={row.seen}"
        f" refused={row.refused} saved={row.saved} ({row.share:.1f} %) {words}"
    )


class Screen:
    """Where the table is drawn, over and over."""

    def __init__(self, out: TextIO) -> None:
        self.terminal = out.isatty()
        self._out = out
        self._height = 0

    def draw(self, shown: list[Row], seconds: float) -> None:
        """Draw over the last table, or print one more line."""
        if not self.terminal:
            print(line(shown[-1], seconds), file=self._out, flush=True)
            return
        text = table(shown, seconds)
        up = f"\x1b[{self._height}F\x1b[J" if self._height else ""
        print(up + text, file=self._out, flush=True)
        self._height = text.count("\n") + 1

    def say(self, text: str) -> None:
        """Print a line; the next table begins below it."""
        print(text, file=self._out, flush=True)
        self._height = 0

    def end(self, shown: list[Row], seconds: float) -> None:
        """Leave the table standing."""
        if self.terminal:
            self.draw(shown, seconds)
        else:
            print(table(shown, seconds), file=self._out, flush=True)


async def run_demo(
    start: Start,
    *,
    seconds: float | None = None,
    bots: int = 40,
    pause: float = 1.0,
    seed: int = 0,
    out: TextIO | None = None,
) -> list[Row]:
    """Run sandbox, proxy and swarm until the time is over or the task is cancelled.

    Args:
        start: starts the proxy with the variables it is given; see `Start`.
        seconds: how long; None for ever.
        bots: how many.
        pause: mean seconds between two questions of one bot.
        seed: of market and bots.
        out: where the table is drawn; standard output unless given.

    Returns:
        The last table, a row for each provider and one of sums.

    """
    screen, latency = Screen(out or sys.stdout), Latency(mean=0.08, jitter=0.04)
    now = asyncio.get_running_loop().time
    async with (
        Sandbox(SEVEN, latency=latency, seed=seed) as sandbox,
        start({**KEYS, **sandbox.environment()}) as address,
    ):
        swarm = Swarm(address, hatch(bots, sandbox.market, SEVEN, seed, pause))
        began = now()

        async def redraw() -> None:
            while True:
                await asyncio.sleep(TERMINAL_PERIOD if screen.terminal else PLAIN_PERIOD)
                screen.draw(rows(swarm, sandbox), now() - began)

        drawing = Tasks(lambda name, error: screen.say(f"{name}: {error!r}"))
        drawing.start(redraw(), "demo table")
        try:
            await swarm.run(seconds)
        finally:
            await drawing.close()
            screen.end(rows(swarm, sandbox), now() - began)
        return rows(swarm, sandbox)
