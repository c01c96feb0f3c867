"""What keys the HMAC of credentials that clients bring, so that no entry's key gives one away.

- configured (`secret:`): that; all instances that share a Redis must have the same.
- SQLite: random, made once, in a file beside the store that its owner alone can read.
- Redis, or nothing kept: the namespace. Instances agree on it without a word, and `check` warns.
"""

import contextlib
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

import structlog

from proxy.config.settings import Settings

SIZE: Final = 32
"""Bytes of a secret that is made."""

_log = structlog.get_logger("persistence")


def own_secret(settings: Settings) -> bytes:
    """Return the secret of this installation, made and kept where there is none yet."""
    if settings.secret:
        return settings.secret.encode()
    if settings.store.kind != "sqlite":
        return settings.store.namespace.encode()
    file = Path(settings.store.path).with_suffix(".secret")
    try:
        if not file.exists():
            _make(file)
        kept = file.read_bytes()
    except OSError as error:
        _log.error("secret_not_kept", file=str(file), reason=error.strerror)
        return secrets.token_bytes(SIZE)
    return kept or settings.store.namespace.encode()


def _make(file: Path) -> None:
    """Make the file, whole or not at all; another worker that is faster has made it for us."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent)  # which its owner alone can read
    try:
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_hex(SIZE))
        with contextlib.suppress(FileExistsError):
            os.link(name, file)
    finally:
        Path(name).unlink()
