"""Times as the admin API writes them: RFC 3339, UTC, whole seconds."""

import datetime as dt
import math


def rfc3339(at: float) -> str | None:
    """Return a Unix time as RFC 3339, rounded up; None for one that no calendar holds."""
    try:
        return dt.datetime.fromtimestamp(math.ceil(at), dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError, OSError):
        return None
