"""What came of a replay: plain values, and tables for a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from proxy.core.model import Verdict
from proxy.planning.simulation import Spent


@dataclass(slots=True)
class Served:
    """What the requests of one endpoint got."""

    verdicts: dict[Verdict, int] = field(default_factory=dict)
    calls: int = 0
    ages: float = 0.0
    answered: int = 0
    worst_age: float = 0.0

    def count(self, verdict: Verdict, age: float = 0.0) -> None:
        """Count one request."""
        self.verdicts[verdict] = self.verdicts.get(verdict, 0) + 1
        if verdict is not Verdict.REFUSED:
            self.answered += 1
            self.ages += age
            self.worst_age = max(self.worst_age, age)


def report(
    served: Mapping[tuple[str, str], Served],
    spent: Mapping[tuple[str, str], Spent],
    duration: float,
    takes: float = 0.0,
) -> dict[str, Any]:
    """Return plain JSON values, times in seconds.

    `served` is by upstream and endpoint, `spent` by upstream and count; each call was taken to take
    `takes` seconds.
    """
    return {
        "seconds": round(duration, 3),
        "call_seconds": takes,
        "requests": sum(sum(each.verdicts.values()) for each in served.values()),
        "calls": sum(each.calls for each in served.values()),
        "limits": [
            _limit(name, bucket, each, duration) for (name, bucket), each in sorted(spent.items())
        ],
        "endpoints": [
            _endpoint(name, endpoint, each) for (name, endpoint), each in sorted(served.items())
        ],
    }


def _limit(upstream: str, bucket: str, spent: Spent, duration: float) -> dict[str, Any]:
    lasts = None
    if spent.cost > 0 and duration > 0:
        seconds = spent.limit.limit * duration / spent.cost
        lasts = round(seconds, 1) if seconds < spent.window else None
    return {
        "upstream": upstream,
        "limit": bucket,
        "size": spent.limit.limit,
        "window": spent.window,
        "calls": spent.calls,
        "spent": round(spent.cost, 3),
        "peak": round(spent.peak, 4),
        "denied": spent.denied,
        "ran_out_after": None if spent.ran_out is None else round(spent.ran_out, 3),
        "lasts_at_this_rate": lasts,
    }


def _endpoint(upstream: str, endpoint: str, served: Served) -> dict[str, Any]:
    requests = sum(served.verdicts.values())
    hits = sum(served.verdicts.get(each, 0) for each in (Verdict.HIT, Verdict.STALE))
    return {
        "upstream": upstream,
        "endpoint": endpoint,
        "requests": requests,
        "calls": served.calls,
        "hit_ratio": round(hits / requests, 4) if requests else 0.0,
        "refused": served.verdicts.get(Verdict.REFUSED, 0),
        "mean_age": round(served.ages / served.answered, 3) if served.answered else 0.0,
        "worst_age": round(served.worst_age, 3),
        "verdicts": {verdict.value: number for verdict, number in sorted(served.verdicts.items())},
    }


def as_text(made: Mapping[str, Any]) -> str:
    """Return a report as tables for a terminal."""
    calls = f"{made['calls']} calls of {made['call_seconds']:g} s each"
    lines = [
        f"{made['requests']} requests in {made['seconds']:g} s, {calls}",
        "",
        f"{'limit':<34}{'size':>9}{'window':>10}{'calls':>8}{'spent':>10}{'peak':>7}  runs out",
    ]
    for each in made["limits"]:
        name = f"{each['upstream']} {each['limit']}"
        lines.append(
            f"{name:<34}{each['size']:>9g}{each['window']:>10g}{each['calls']:>8}"
            f"{each['spent']:>10g}{each['peak']:>7.0%}  {_runs_out(each)}"
        )
    lines += [
        "",
        f"{'endpoint':<34}{'requests':>9}{'calls':>8}{'hits':>7}{'refused':>9}{'age':>10}{'worst':>8}",
    ]
    for each in made["endpoints"]:
        name = f"{each['upstream']} {each['endpoint']}"
        lines.append(
            f"{name:<34}{each['requests']:>9}{each['calls']:>8}{each['hit_ratio']:>7.0%}"
            f"{each['refused']:>9}{each['mean_age']:>10.1f}{each['worst_age']:>8.1f}"
        )
    return "\n".join(lines)


def _runs_out(limit: Mapping[str, Any]) -> str:
    if limit["ran_out_after"] is not None:
        return f"after {limit['ran_out_after']:g} s, {limit['denied']} times denied"
    if limit["lasts_at_this_rate"] is not None:
        return f"after {limit['lasts_at_this_rate']:g} s at this rate"
    return "never"
