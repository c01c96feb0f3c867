"""The clocks, read at the edge only.

`steady_wall` dates entries: Unix time that follows slews but not steps, so an entry's age never
jumps while a process lives. `boottime` counts durations: shared by the processes of a machine,
never stepped, running through suspend. `wall` is for calendars alone.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

wall: Callable[[], float] = time.time  # noqa: TID251 - here the clocks are read
"""Unix time; may step."""

if hasattr(time, "CLOCK_BOOTTIME"):
    boottime: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    """Seconds since boot, suspend included (Linux)."""

else:  # macOS: its monotonic clock is shared by processes too
    boottime = time.monotonic  # noqa: TID251 - as above


_monotonic = time.monotonic  # noqa: TID251 - as above
_offset = wall() - _monotonic()


def steady_wall() -> float:
    """Unix time as this process knew it at its start, carried on by the monotonic clock."""
    return _monotonic() + _offset


def boot_id() -> str:
    """What tells one boot of the machine from another; empty where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
