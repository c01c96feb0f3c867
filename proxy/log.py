"""Logs through structlog, configured once a process: lines for people on a terminal, else JSON.

- What is below the level costs a call of an empty method. Hits are logged at debug only.
- Most words of a line were in the last one too: what was seen to hold no secret is known to.
- No secret ever: those who log leave them out, and the last step before a line is written takes
  out every registered secret value and whatever stands behind a name that keys go by.
- Records of the standard library's `logging` (asyncio, aiohttp) go the same way.
"""

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

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

Event = MutableMapping[str, Any]


class Redaction:
    """Takes secrets out of an event, at any depth."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Take the secret values that are known; more may be registered."""
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self._clean: set[str] = set()
        """Short texts that were looked at, and hold no secret."""
        self.register(secrets)

    def register(self, secrets: Iterable[str]) -> None:
        """Hide these values too, from now on."""
        self._secrets.update(secret for secret in secrets if len(secret) >= SHORTEST)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._clean.clear()

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
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_Standard()]
    root.setLevel(max(number, logging.WARNING))
    return redaction


def _json(_logger: object, _method: str, event: Event) -> str:
    return msgspec.json.encode(event).decode()
