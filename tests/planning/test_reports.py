"""Reports: what came of a replay, in plain values and for people."""

import json

from proxy.core.model import Verdict
from proxy.core.upstreams import Algorithm, Limit
from proxy.planning.reports import Served, as_text, report
from proxy.planning.simulation import Spent

MONTH = Limit("month", 100, "month", Algorithm.FIXED_WINDOW)


def test_a_report() -> None:
    """Hits are of all that was asked, ages of what was answered; plain JSON throughout."""
    served = Served(calls=1)
    for verdict, age in ((Verdict.MISS, 0.0), (Verdict.HIT, 30.0), (Verdict.REFUSED, 0.0)):
        served.count(verdict, age)
    spent = Spent(MONTH, window=2_592_000.0, calls=1, cost=20.0, peak=0.2)
    made = report({("u", "price"): served}, {("u", "month"): spent}, 3600.0)

    assert made == json.loads(json.dumps(made))
    assert (3, 1, 0.3333, 15.0, 30.0) == (
        made["requests"], made["calls"], *(
            made["endpoints"][0][name] for name in ("hit_ratio", "mean_age", "worst_age")
        ),
    )  # fmt: skip
    assert 18_000.0 == made["limits"][0]["lasts_at_this_rate"]
    assert "after 18000 s at this rate" in as_text(made)


def test_what_ran_out_and_what_never_does() -> None:
    """Said in words."""
    out = Spent(MONTH, window=2_592_000.0, cost=100.0, denied=7, ran_out=90.0)
    never = Spent(Limit("minute", 30, 60.0, Algorithm.SLIDING_WINDOW), window=60.0, cost=1.0)
    text = as_text(report({}, {("u", "month"): out, ("u", "minute"): never}, 3600.0))

    assert "after 90 s, 7 times denied" in text
    assert text.count("never") == 1
