"""Names of processes that tell, on the same machine, whether they have ended.

A spender that was killed says no goodbye, and its share would be withheld until its lease ends. Its
successor on the machine can see that it is gone. A name holds the boot of the machine, the name
space of process ids (a container's), the id, and when the process began: an id may be used again.
Where the system tells none of this, nothing is known of anybody.
"""

import os
from pathlib import Path

from proxy import clock

_STARTED = 19
"""Place of `starttime` among the fields of /proc/PID/stat after the command's name."""


def here() -> str:
    """Return what names this process among all processes of all machines, where that is known."""
    return f"{_machine()}/{os.getpid()}/{_began(os.getpid())}"


def has_ended(name: str) -> bool:
    """Whether the process of that name has certainly ended."""
    machine, _, rest = name.rpartition("/")[0].partition("/")
    began = name.rpartition("/")[2]
    if not machine or machine != _machine() or not rest.isdecimal() or not began.isdecimal():
        return False
    return _began(int(rest)) != began


def _machine() -> str:
    try:
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no file, a name
    except OSError:
        return ""
    boot = clock.boot_id()
    return f"{boot}-{space}" if boot else ""


def _began(pid: int) -> str:
    """Return when a process began, in the system's own ticks; empty: there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return fields[_STARTED] if fields[0] != "Z" else ""
