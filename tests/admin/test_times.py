"""RFC 3339."""

import math

from proxy.admin.times import rfc3339


def test_times_are_utc_whole_seconds_rounded_up() -> None:
    """Never earlier than it is: who comes back then is not too early."""
    assert "2026-11-18T11:06:40Z" == rfc3339(1_795_000_000.0)
    assert "2026-11-18T11:06:41Z" == rfc3339(1_795_000_000.1)


def test_what_no_calendar_holds_is_null() -> None:
    """An infinite or absurd time says nothing, and is no error."""
    assert rfc3339(math.inf) is None
    assert rfc3339(1e30) is None
