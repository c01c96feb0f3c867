"""Logs through structlog, configured once a process: lines for people on a terminal, else JSON.

- What is below the level costs a call of an empty method. Hits are logged at debug only.
- Most words of a line were in the last one too: what was seen to hold no secret is known to.
- No secret ever: those who log leave them out, and the last step before a line is written takes
  out every registered secret value and whatever stands behind a name that keys go by.
- Records of the standard library's `logging` (asyncio, aiohttp) go the same way.
- Of the busiest line (`Refrain`) only a figure and the time are new, and neither can hold a secret:
  the rest is rendered once.
"""

import atexit
import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

import msgspec
import structlog

from proxy import clock
from proxy.log_lines import Lines

HIDDEN = "[hidden]"
SHORTEST = 6
"""Characters below which a registered value is no secret, but a word that occurs everywhere."""

_NAMES = (
    r"[\w-]*(?:api[_-]?key|apikey|auth_token|access[_-]?key|secret|signature|passw(?:or)?d|token)"
    r"|x-mbx-apikey|x_cg_\w+|x-cg-\w+|api-sign|ok-access-\w+|x-bapi-\w*|authorization|cookie"
)
_PAIR = re.compile(rf"(?i)\b({_NAMES})(=|%3D|: ?|\"\s*:\s*\")([^&\s\"',;]+)")
_NAME = re.compile(rf"(?i)(?:{_NAMES})\Z")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+")
_USERINFO = re.compile(r"(://)[^/@\s]+@")

_SHORT = 64
_MOST_CLEAN = 4096
_MOST_FORMS = 4096
_MICRO = 1_000_000

Event = MutableMapping[str, Any]


class Redaction:
    """Takes secrets out of an event, at any depth."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secret values that are known; more may be registered."""
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._clean: set[str] = set()
        """Short texts that were looked at, and hold no secret."""
        self.changes = 0
        """Counts how often more became secret."""
        self.register(secrets)

    def register(self, secrets: Iterable[str]) -> None:
        """Hide these values too, from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._clean.clear()
        self.changes += 1

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        """Return the event without secrets (structlog's processor)."""
        return {name: self._of(name, value) for name, value in event.items()}

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        if text in self._clean:
            return text
        cleaned = self._cleaned(text)
        if cleaned == text and len(text) <= _SHORT:
            if len(self._clean) >= _MOST_CLEAN:
                self._clean.clear()
            self._clean.add(text)
        return cleaned

    def _cleaned(self, text: str) -> str:
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _BEARER.sub(rf"\1 {HIDDEN}", text)
        text = _PAIR.sub(rf"\1\2{HIDDEN}", text)
        return _USERINFO.sub(rf"\1{HIDDEN}@", text)

    def _of(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return HIDDEN if value and _NAME.match(name) else self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self._of(str(key), one) for key, one in value.items()}
        if isinstance(value, bytes):
            return self._of(name, value.decode("latin-1"))
        if isinstance(value, list | tuple | set | frozenset):
            return [self._of(name, one) for one in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._of(name, str(value))


class Refrain:
    """A kind of line whose words come again and again, with other `seconds`, at another time."""

    def __init__(self, lines: Lines, redaction: Redaction, level: str) -> None:
        """Take where it is written, what hides secrets, and its level."""
        self._lines = lines
        self._redaction = redaction
        self._level = level
        self._forms: dict[tuple[object, ...], tuple[str, str]] = {}
        self._changes = redaction.changes

    def again(self, key: tuple[object, ...], seconds: float) -> bool:
        """Write the line that `key` stands for, soon; False: nobody has said what it is."""
        form = self._forms.get(key)
        if form is None or self._changes != self._redaction.changes:
            return False
        now = clock.wall()
        second = int(now)
        micro = str(_MICRO + int((now - second) * _MICRO))[1:]  # quicker than a format with zeros
        before, behind = form
        at = f"{_until_seconds(second)}.{micro}Z"
        self._lines.soon(f'{before}{seconds!r}{behind}"{at}"}}')
        return True

    def learn(self, key: tuple[object, ...], event: Event) -> None:
        """Say what line `key` stands for, its `seconds` among the facts."""
        if len(self._forms) >= _MOST_FORMS or self._changes != self._redaction.changes:
            self._forms.clear()
            self._changes = self._redaction.changes
        facts = dict(self._redaction(None, self._level, event))
        facts |= {"seconds": _BLANK, "level": self._level, "timestamp": _BLANK}
        before, behind, _ = msgspec.json.encode(facts).decode().split(_BLANK_TEXT)
        self._forms[key] = (before, behind)


_BLANK_TEXT = "\0"
_BLANK = msgspec.Raw(_BLANK_TEXT.encode())
"""What no JSON holds: the place of what is filled in."""


def refrain(level: str) -> Refrain | None:
    """Return the quick way for one kind of line; None where lines are not JSON (for people)."""
    config = structlog.get_config()
    lines, processors = config["logger_factory"], config["processors"]
    redaction = next((each for each in processors if isinstance(each, Redaction)), None)
    if not isinstance(lines, Lines) or redaction is None or processors[-1] is not _json:
        return None
    return Refrain(lines, redaction, level)


@lru_cache(maxsize=2)
def _until_seconds(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Standard(logging.Handler):
    """Hands records of the standard library's loggers to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        structlog.get_logger().log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def configure(
    level: str = "info",
    form: str = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Redaction:
    """Set up logging for this process.

    Args:
        level: `debug`, `info`, `warning` or `error`.
        form: `auto` (console on a terminal, else JSON), `json` or `console`.
        secrets: values that may never appear.
        stream: where lines go; standard error unless given.

    Returns:
        What hides secrets, so that those of a later configuration can be registered.

    """
    stream = stream or sys.stderr
    number = logging.getLevelNamesMapping()[level.upper()]
    redaction = Redaction(secrets)
    console = form == "console" or (form == "auto" and stream.isatty())
    last = structlog.dev.ConsoleRenderer(colors=stream.isatty()) if console else _json
    lines = Lines(stream)
    atexit.register(lines.flush)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            redaction,
            structlog.processors.add_log_level,  # these two are ours, and need no look
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lines,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Standard()]
    root.setLevel(max(number, logging.WARNING))
    return redaction


def _json(_logger: object, _method: str, event: Event) -> str:
    return msgspec.json.encode(event).decode()
