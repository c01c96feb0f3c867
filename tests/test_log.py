"""Logging: one form for people, one for machines, and no secret in either."""

import io
import json
import logging
from datetime import datetime
from typing import Any

import pytest
import structlog

from proxy import log
from proxy.log import HIDDEN, Redaction

SECRET = "CG-0123456789"  # noqa: S105 - made up


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Any:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_where_nobody_watches() -> None:
    """One object a line, with level and time."""
    stream = io.StringIO()
    log.configure(stream=stream)

    structlog.get_logger().info("call", upstream="binance", status=200)

    [line] = lines(stream)
    assert {"event": "call", "level": "info", "upstream": "binance", "status": 200}.items() <= (
        line.items()
    )
    assert line["timestamp"].endswith("Z")


def test_lines_for_people_on_a_terminal() -> None:
    """`auto` is the console there; `console` is everywhere."""
    stream = io.StringIO()
    log.configure(form="console", stream=stream)

    structlog.get_logger().info("call", upstream="binance")

    assert "upstream=binance" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_below_the_level_nothing_is_written() -> None:
    """Hits are at debug; the default is info."""
    stream = io.StringIO()
    log.configure("info", stream=stream)

    structlog.get_logger().debug("hit")

    assert "" == stream.getvalue()


def test_the_standard_library_goes_the_same_way() -> None:
    """What asyncio and aiohttp have to say is one more line of ours, traceback and all."""
    stream = io.StringIO()
    log.configure(secrets=[SECRET], stream=stream)
    try:
        int(f"with {SECRET} in it")
    except ValueError:
        logging.getLogger("asyncio").exception("a task failed")

    [line] = lines(stream)
    assert ("a task failed", "asyncio", "error") == (line["event"], line["logger"], line["level"])
    assert "ValueError" in line["exception"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"url is /x?id=1&key={SECRET}", f"url is /x?id=1&key={HIDDEN}"),
        ("/v1?auth_token=abc&page=2", f"/v1?auth_token={HIDDEN}&page=2"),
        ("/v3?x_cg_demo_api_key=abc", f"/v3?x_cg_demo_api_key={HIDDEN}"),
        ("a=1&signature=5ec4e7&b=2", f"a=1&signature={HIDDEN}&b=2"),
        ("X-MBX-APIKEY: abc", f"X-MBX-APIKEY: {HIDDEN}"),
        ('{"X-CMC_PRO_API_KEY": "abc"}', f'{{"X-CMC_PRO_API_KEY": "{HIDDEN}"}}'),
        ("Authorization: Bearer abc.def", f"Authorization: {HIDDEN} {HIDDEN}"),
        ("redis://user:pass@host:6379/0", f"redis://{HIDDEN}@host:6379/0"),
        ("symbol=BTCUSDT&limit=5", "symbol=BTCUSDT&limit=5"),
        ("used 7 tokens of 30", "used 7 tokens of 30"),
    ],
)
def test_secrets_in_texts(text: str, expected: str) -> None:
    """Registered values wherever they stand; what stands behind a known name."""
    assert expected == Redaction([SECRET]).text(text)


def test_secrets_at_any_depth() -> None:
    """In lists, mappings and bytes, by value and by name."""
    event = {
        "api_key": "abc",
        "token": "",
        "headers": {"Cookie": "x=1", "Accept": "json"},
        "seen": [SECRET, (SECRET.encode(), 5)],
        "count": 3,
        "error": ValueError(SECRET),
    }

    assert {
        "api_key": HIDDEN,
        "token": "",
        "headers": {"Cookie": HIDDEN, "Accept": "json"},
        "seen": [HIDDEN, [HIDDEN, 5]],
        "count": 3,
        "error": HIDDEN,
    } == Redaction([SECRET])(None, "info", event)


def test_a_short_value_is_no_secret() -> None:
    """`abc` as a key would blank out half of every line."""
    assert "abcdef abc" == Redaction(["abc"]).text("abcdef abc")


def test_secrets_may_be_registered_later() -> None:
    """A reload brings new ones; the old stay hidden."""
    redaction = Redaction([SECRET])
    redaction.register(["another-secret"])

    assert f"{HIDDEN} {HIDDEN}" == redaction.text(f"{SECRET} another-secret")


def test_a_text_that_was_clean_is_looked_at_again_when_more_is_secret() -> None:
    """A configuration that is read later may have another key."""
    redaction = Redaction()
    assert redaction.text("asked with abcdef123") == "asked with abcdef123"
    redaction.register(["abcdef123"])
    assert redaction.text("asked with abcdef123") == f"asked with {HIDDEN}"


# ── the quick way ──


def called(seconds: float, endpoint: str = "price") -> dict[str, Any]:
    return {"status": 200, "endpoint": endpoint, "seconds": seconds, "cost": 2.0}


def written(stream: io.StringIO, refrain: log.Refrain, events: list[dict[str, Any]]) -> None:
    """Write each the quick way where it is known, else the ordinary way, which makes it known."""
    for event in events:
        key = (event["status"], event["endpoint"], event["cost"])
        if not refrain.again(key, event["seconds"]):
            structlog.get_logger().info("call", **event)
            refrain.learn(key, {**event, "event": "call"})


def test_the_quick_way_writes_the_same_line() -> None:
    """Names, values and their order; the time apart, which is of the same form."""
    stream = io.StringIO()
    log.configure(secrets=[SECRET], stream=stream)
    refrain = log.refrain("info")
    assert refrain is not None
    odd = f'"{SECRET}"\n{{}}é'
    events = [called(0.25, odd), called(0.0001, odd), called(0.5), called(12.0, odd)]
    written(stream, refrain, events)
    quick = lines(stream)
    first, *others = stream.getvalue().splitlines()

    assert [0.25, 0.0001, 0.5, 12.0] == [line["seconds"] for line in quick]
    assert SECRET not in stream.getvalue()
    for line in (others[0], others[2]):
        assert list(json.loads(line)) == list(json.loads(first))
        same = {"seconds": 0.25, "timestamp": quick[0]["timestamp"]}
        assert {**json.loads(line), **same} == quick[0]
    for line in quick:
        assert datetime.fromisoformat(line["timestamp"]).tzinfo is not None


def test_what_has_become_secret_is_hidden_on_the_quick_way_too() -> None:
    """Words that were rendered before a reload are looked at anew."""
    stream = io.StringIO()
    redaction = log.configure(stream=stream)
    refrain = log.refrain("info")
    assert refrain is not None
    written(stream, refrain, [called(1.0, SECRET), called(2.0, SECRET)])
    assert 2 == stream.getvalue().count(SECRET)
    redaction.register([SECRET])
    written(stream, refrain, [called(3.0, SECRET), called(4.0, SECRET)])

    assert [SECRET, SECRET, HIDDEN, HIDDEN] == [line["endpoint"] for line in lines(stream)]


def test_lines_for_people_know_no_quick_way() -> None:
    """They are laid out, and nobody reads thousands of them a second."""
    log.configure(form="console", stream=io.StringIO())

    assert log.refrain("info") is None
