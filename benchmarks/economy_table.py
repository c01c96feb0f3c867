"""The economy benchmark's figures: what is counted of a contender, and how it is told."""

import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from economy_provider import NAMES
from economy_trace import Kind

REFUSALS = frozenset({429, 418})


@dataclass(frozen=True, slots=True)
class Heard:
    """What a bot got: its age in seconds of the trace, its latency in milliseconds."""

    kind: Kind
    age: float | None
    """None: no answer, or none that could be used."""
    latency: float
    hit: bool = False
    """The contender says that it came from its cache, fresh."""


@dataclass(slots=True)
class Row:
    """One contender's figures, in all or of one class."""

    heard: list[Heard] = field(default_factory=list)
    calls: int = 0
    weight: int = 0
    """What the providers granted."""
    sent: int = 0
    """What all calls would have weighed, those refused included."""
    refused: int = 0

    def count(self, weight: int, *, refused: bool) -> None:
        """Count a call that the providers saw."""
        self.calls += 1
        self.weight += 0 if refused else weight
        self.sent += weight
        self.refused += refused

    @property
    def ages(self) -> list[float]:
        """Ages of the answers, sorted."""
        return sorted(each.age for each in self.heard if each.age is not None)

    @property
    def answered(self) -> float:
        """Share of the questions that were answered, in percent."""
        return 100.0 * len(self.ages) / len(self.heard) if self.heard else 0.0

    @property
    def mean_age(self) -> float:
        """Mean age in seconds of the trace."""
        return statistics.fmean(self.ages or [0.0])


def weighed(provider: str, target: str) -> tuple[Kind, int]:
    """Return the class of a call, and what it weighs."""
    if provider == "coingecko":
        several = re.search(r"ids=[^&]*(,|%2C)", target) is not None
        return (Kind.LISTS if several else Kind.PRICES), 1
    if "/klines" in target:
        return Kind.CANDLES, 2
    single = re.search(r"[?&]symbol=", target) is not None
    return (Kind.PRICES, 2) if single else (Kind.LISTS, 4)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which so large a share of sorted values lies."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def head() -> str:
    """Return the table's first line."""
    return (
        f"{'':24}{'':9}{'asked':>8}{'calls':>8}{'weight':>8}{'refused':>8}{'answ. %':>9}"
        f"{'age s':>9}{'p99 s':>8}{'p50 ms':>8}{'p99 ms':>8}"
    )


def shown(name: str, rows: dict[str, Row]) -> Iterator[str]:
    """Yield a contender's lines."""
    for kind in ("all", *Kind):
        row = rows.get(kind, Row())
        late = sorted(each.latency for each in row.heard)
        yield (
            f"{name if kind == 'all' else '':24}{kind:9}{len(row.heard):8}{row.calls:8}"
            f"{row.weight:8}{row.refused:8}{row.answered:9.2f}{row.mean_age:9.1f}"
            f"{percentile(row.ages, 0.99):8.1f}{percentile(late, 0.5):8.1f}"
            f"{percentile(late, 0.99):8.1f}"
        )
    parts = ((name, rows.get(name, Row())) for name in NAMES)
    yield f"{'':24}" + ", ".join(f"{name} {row.weight} of {row.sent} sent" for name, row in parts)


def driven_well(lag: list[float], busy: Mapping[str, float], took: float, rows: Row) -> str:
    """Return how late questions left, how busy each process was (CPU), and how late hits were.

    `lag` is sorted; it, `busy` and `took` are seconds.
    """
    late = ", ".join(f"p{p:g} {percentile(lag, p / 100) * 1000:.1f}" for p in (50, 99, 99.9))
    cores = ", ".join(
        f"{name} {each / took:.0%} ({each / len(lag) * 1e6:.0f} µs a question)"
        for name, each in busy.items()
    )
    told = f"late: {late}, at most {percentile(lag, 1.0) * 1000:.1f} ms; busy: {cores}"
    hits = sorted(each.latency for each in rows.heard if each.hit)
    if hits:
        p50, p99 = percentile(hits, 0.5), percentile(hits, 0.99)
        told += f"; {len(hits)} hits: p50 {p50:.1f}, p99 {p99:.1f} ms"
    return told


def said(pause: float, nginx_rows: Mapping[str, Row], own: Mapping[str, Row]) -> Iterator[str]:
    """Yield each goal, and whether it is kept at a rate."""
    theirs, mine = nginx_rows["all"], own["all"]
    share = mine.weight / theirs.weight if theirs.weight else 0.0
    sent = mine.sent / theirs.sent if theirs.sent else 0.0
    yield f"a question of each bot every {pause:g} s:"
    for goal, is_kept, figure in (
        (
            "at most one tenth of nginx's weight",
            share <= 0.1,
            f"{share:.3f}; {sent:.3f} with what was sent and refused",
        ),
        ("no refusals", mine.refused == 0, str(mine.refused)),
        ("100 % answered", mine.answered == 100.0, f"{mine.answered:.2f} %"),
        (
            "mean age no worse than nginx's",
            mine.mean_age <= theirs.mean_age,
            f"{mine.mean_age:.1f} s beside {theirs.mean_age:.1f} s",
        ),
    ):
        yield f"  {'kept' if is_kept else 'MISSED':8}{goal}: {figure}"
