"""Replay: what recorded traffic would cost, and what a change would change."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.core.shapes import Batch
from proxy.core.upstreams import Algorithm, Limit
from proxy.planning.replay import Line, as_text, changed, read, replayed
from tests.house import LIMIT, PRICE, endpoint, upstream

BEGAN = 1_763_000_000.0


def asked(*targets: str, every: float = 1.0) -> list[Line]:
    return [Line(BEGAN + index * every, f"/coingecko{each}") for index, each in enumerate(targets)]


def endpoint_of(made: dict[str, Any], name: str = "price") -> dict[str, Any]:
    return next(each for each in made["endpoints"] if each["endpoint"] == name)


def test_hits_and_ages() -> None:
    """A request each second for three minutes: a call at the start and at each end of the TTL."""
    rule = replace(PRICE, stale_while_revalidate=0.0)
    made = replayed((upstream(rule),), asked(*["/price?ids=a"] * 180))
    found = endpoint_of(made)

    assert (180, 3, 59.0) == (found["requests"], found["calls"], found["worst_age"])
    assert found["verdicts"] == {"HIT": 177, "MISS": 3}
    assert pytest.approx(29.5) == found["mean_age"]


def test_when_a_limit_runs_out() -> None:
    """Thirty a minute, and forty different answers in forty seconds: ten are refused."""
    made = replayed((upstream(),), asked(*[f"/price?ids={index}" for index in range(40)]))
    [limit] = made["limits"]

    assert (30, 1.0, 30.0) == (limit["spent"], limit["peak"], limit["ran_out_after"])
    assert endpoint_of(made)["refused"] == 10


def test_who_waits_for_quota_is_served_in_time() -> None:
    """A token that comes back within `max_wait` serves all who wait for the same answer."""
    rule = replace(PRICE, max_wait=5.0)
    limit = Limit("minute", 1, 4.0, Algorithm.SLIDING_WINDOW)
    gecko = upstream(rule, limits=(limit,))
    made = replayed((gecko,), asked("/price?ids=a", "/price?ids=b", "/price?ids=b"))

    assert {"JOINED": 1, "MISS": 2} == endpoint_of(made)["verdicts"]


def test_members_of_a_list_share_calls() -> None:
    """Two are stored, two are missing: one call."""
    rule = replace(PRICE, batch=Batch("ids"))
    made = replayed((upstream(rule),), asked("/price?ids=a,b", "/price?ids=a,b,c,d"))

    assert (2, {"MISS": 2}) == (endpoint_of(made)["calls"], endpoint_of(made)["verdicts"])


def test_what_meets_nothing_is_refused() -> None:
    """It is counted, under no upstream."""
    made = replayed((upstream(),), [Line(BEGAN, "/nowhere")])

    assert [("(none)", 1)] == [(each["upstream"], each["refused"]) for each in made["endpoints"]]


def test_another_ttl() -> None:
    """Twice the TTL is half the calls; an endpoint that is not there is an error."""
    rule = replace(PRICE, stale_while_revalidate=0.0)
    lines = asked(*["/price?ids=a"] * 240)
    longer = changed((upstream(rule),), {"coingecko.price": 120.0})

    assert (4, 2) == (replayed((upstream(rule),), lines)["calls"], replayed(longer, lines)["calls"])
    with pytest.raises(ValueError, match=r"coingecko\.prize"):
        changed((upstream(),), {"coingecko.prize": 1.0})


def test_lines_that_are_none_are_said_by_number() -> None:
    """A trace that was cut short, or is something else."""
    with pytest.raises(ValueError, match="line 2"):
        list(read([b'{"at":1,"target":"/a"}\n', b'{"at":']))


def test_live_ones_cost_each_time() -> None:
    """A clock is forwarded, whoever asked before."""
    clock = endpoint("time", "/time", live=True)
    made = replayed((upstream(clock, limits=(LIMIT,)),), asked("/time", "/time"))

    assert {"BYPASS": 2} == endpoint_of(made, "time")["verdicts"]


def test_from_the_command_line(tmp_path: Path) -> None:
    """A table for people, JSON for programs, and an error in one line."""
    (tmp_path / "u.yaml").write_text(
        "name: u\nbase_url: http://u\nlimits: {minute: {limit: 2, per: 60s}}\n"
        "endpoints: {price: {path: /price, ttl: 10s}}\n"
    )
    (tmp_path / "proxy.yaml").write_text("upstreams: [u.yaml]\n")
    trace = tmp_path / "trace.jsonl"
    trace.write_text("".join(f'{{"at":{at},"target":"/u/price"}}\n' for at in range(30)))
    command = ["plan", str(trace), "--config", str(tmp_path / "proxy.yaml")]
    run = CliRunner().invoke

    table = run(main, [*command, "--ttl", "u.price=1m"])
    parsed = json.loads(run(main, [*command, "--json", "--ttl", "u.price=1m"]).stdout)
    wrong = [run(main, [*command, "--ttl", each]) for each in ("u.x=1m", "u.price", "u.price=x")]

    assert "changed" in table.output
    assert (2, 1) == (parsed["configured"]["calls"], parsed["changed"]["calls"])
    assert "runs out" in as_text(parsed["configured"])
    assert all(each.exit_code and "Traceback" not in each.output for each in wrong)


@pytest.mark.parametrize("at", ["1e300", "-1", "1e13"])
def test_a_time_that_is_none_is_said_with_its_line(at: str) -> None:
    """A trace in milliseconds, say, is no trace of the year 318857."""
    with pytest.raises(ValueError, match=r"line 1: .*\$\.at"):
        list(read([b'{"at": %b, "target": "/x"}' % at.encode()]))
