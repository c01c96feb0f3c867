"""The shipped provider files, with all that lasts made shorter, and without chosen features."""

import re
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import yaml
from economy_provider import NAMES
from economy_trace import COMPRESSION, MINUTES, Kind, Question
from peers import Rule
from stage import ROOT, SERVER_CPU, Served, await_answer, free_port, running

from proxy.config.scalars import duration

FEATURES = (
    ("+ shared calls", ("batch",)),
    ("+ riders", ("riders",)),
    ("+ candles", ("align", "round", "settled", "contains")),
    ("+ longer candles", ("fetch", "opens")),
    ("+ younger candles", ("refresh_ahead", "worn_after")),
    ("+ stretch", ("stretch",)),
)
"""Each with what declares it on an endpoint or in the defaults, in the order they are added in."""
DEFAULT = {"riders"}
"""On where nothing is said: turned off where a contender goes without."""
LASTING = frozenset(
    {"ttl", "stale_while_revalidate", "stale_if_error", "max_age", "negative_ttl", "negative",
     "settled", "max_wait", "rescue_after", "worn_after"}
)  # fmt: skip
WAITS = {"max_wait": 5.0 / COMPRESSION, "rescue_after": 0.5 / COMPRESSION}
"""The proxy's defaults for these, shortened as well."""
SELECTORS = frozenset({"by", "list"})
RULED = {"coingecko": ("price",), "binance": ("ticker_price", "klines")}
"""The endpoints that the trace asks for."""
PROXY = """
listen: ${QUOTA_PROXY_LISTEN}
admin: {listen: "${QUOTA_PROXY_ADMIN_LISTEN}"}
store: ${REDIS_URL}
log: {level: error, format: json}
upstreams: [upstreams/*.yaml]
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One of this proxy's contenders."""

    name: str
    without: frozenset[str]
    """What of the shipped files it goes without."""
    ahead: bool = False
    """All that is asked for is refreshed shortly before its end, which no shipped file says."""

    @property
    def as_shipped(self) -> bool:
        """Whether it is what an operator gets who changes nothing."""
        return not self.without and not self.ahead

    def upstream(self, name: str) -> dict[str, Any]:
        """Return a provider's file."""
        settings: dict[str, Any] = without(shipped(name), self.without)
        if self.ahead:
            for endpoint in RULED[name]:
                settings["endpoints"][endpoint]["refresh_ahead"] = True
                settings["endpoints"][endpoint].pop("worn_after", None)
        return settings


def steps() -> list[Step]:
    """Return this proxy's contenders: one feature on after the other."""
    wanting = {key for _, keys in FEATURES for key in keys}
    found = [Step("quota-proxy, plain", frozenset(wanting))]
    for name, keys in FEATURES:
        wanting -= set(keys)
        found.append(Step(name, frozenset(wanting)))
    return [*found, Step("+ refresh ahead", frozenset(), ahead=True)]


def as_shipped() -> Step:
    """Return the contender that an operator gets who changes nothing: of it the goals are said."""
    return next(step for step in steps() if step.as_shipped)


def rules(compression: float = COMPRESSION) -> tuple[Rule, ...]:
    """Return the same lifetimes for others."""
    found, scale = [], COMPRESSION / compression
    for name, endpoints in RULED.items():
        declared = shortened(shipped(name))["endpoints"]
        for each in (declared[endpoint] for endpoint in endpoints):
            table = each["ttl"]
            grace = each.get("stale_while_revalidate", 0.0) * scale
            path = f"/{name}{each['path']}"
            if isinstance(table, dict):
                values = {k: v * scale for k, v in table.items() if k not in {"by", "else"}}
                found.append(Rule(path, table["else"] * scale, grace, table["by"], values))
            else:
                found.append(Rule(path, table * scale, grace))
    return tuple(found)


def floor(questions: Iterable[Question], begins: float = 0.0) -> int:
    """Return the least that candles can weigh, however they are shared.

    A call brings one symbol's candles of one interval. It serves whoever asks before its TTL has
    passed and its last candle has closed (and could be had closed, a second later). So whoever
    finds nothing makes a call, and no other choice of moments makes fewer. When candles close goes
    by when the trace `begins` (Unix time, in the trace's seconds): that moves it by a fiftieth.
    """
    lives = shipped("binance")["endpoints"]["klines"]["ttl"]
    ends: dict[tuple[str, str], float] = {}
    weight = 0
    for question in questions:
        if question.kind is Kind.CANDLES:
            asked = parse_qs(question.target.partition("?")[2])
            interval = asked["interval"][0]
            stream, at = (asked["symbol"][0], interval), begins + question.at
            if at >= ends.get(stream, 0.0):
                length = MINUTES[interval] * 60
                closes = ((at - 1) // length + 1) * length + 1
                ends[stream] = min(at + duration(lives[interval]), closes)
                weight += 2
    return weight


def shortened(value: Any, *, lasting: bool = False) -> Any:
    """Return settings in which everything that lasts lasts a tenth, in seconds."""
    if isinstance(value, dict):
        return {
            key: shortened(each, lasting=key in LASTING or (lasting and key not in SELECTORS))
            if key != "per"
            else _window(each)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if lasting and not isinstance(value, bool) and _is_duration(value):
        return duration(value) / COMPRESSION
    return value


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) or bool(re.fullmatch(r"[0-9.]+(ms|s|m|h|d)?", str(value)))


def _window(per: Any) -> Any:
    """Return a limit's window; a month stays one, as what it holds is for a month."""
    units = {"minute": 60.0, "hour": 3600.0}
    if per in {"day", "month"}:
        return per
    return (units.get(str(per)) or duration(per)) / COMPRESSION


def without(settings: Any, features: Collection[str]) -> Any:
    """Return settings that declare none of these."""
    if isinstance(settings, dict):
        kept = {k: without(v, features) for k, v in settings.items() if k not in features}
        if "batch" in kept:
            kept["batch"] |= dict.fromkeys(DEFAULT.intersection(features), False)
        return kept
    return settings


@contextmanager
def ours(origin: str, step: Step) -> Iterator[Served]:
    """Run this proxy before the providers at `origin`; yield its address."""
    port, admin = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "upstreams").mkdir()
        Path(folder, "proxy.yaml").write_text(PROXY)
        for name in NAMES:
            settings = {**WAITS, **shortened(step.upstream(name))}
            text = yaml.safe_dump(settings, sort_keys=False, width=1000)
            Path(folder, "upstreams", f"{name}.yaml").write_text(text)
        environ = {
            "QUOTA_PROXY_LISTEN": f"127.0.0.1:{port}",
            "QUOTA_PROXY_ADMIN_LISTEN": f"127.0.0.1:{admin}",
            "REDIS_URL": f"sqlite:{folder}/economy.db",
            "COINGECKO_API_KEY": "bench",
            **{f"{name.upper()}_BASE_URL": f"{origin}/{name}" for name in NAMES},
        }
        script = str(ROOT / "benchmarks" / "compressed.py")
        command = [sys.executable, script, "serve", "--config", f"{folder}/proxy.yaml"]
        with running(command, environ, SERVER_CPU) as child:
            await_answer(f"http://127.0.0.1:{admin}/readyz")
            yield Served(f"http://127.0.0.1:{port}", child.pid, f"http://127.0.0.1:{admin}")


def shipped(name: str) -> dict[str, Any]:
    """Return a provider's file as it is shipped."""
    path = ROOT / "config" / "upstreams" / f"{name}.yaml"
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read
