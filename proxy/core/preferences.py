"""What a client says of its own patience and urgency: Prefer (RFC 7240), Priority (RFC 9218)."""

import math

import http_sf

from proxy.core.fields import Fields, combined

LEAST_URGENT = 7


def wait(fields: Fields) -> float | None:
    """Return the seconds of `Prefer: wait=N` (RFC 7240 section 4.3); None where it says none."""
    said = combined(fields, "prefer")
    if said is None:
        return None
    for preference in said.split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            try:
                seconds = float(value.strip().strip('"'))
            except ValueError:
                return None
            return seconds if math.isfinite(seconds) and seconds >= 0 else None
    return None


def urgency(fields: Fields) -> int | None:
    """Return `u` of Priority (RFC 9218 section 4.1), 0 first to 7; None where it says none."""
    value = combined(fields, "priority")
    if value is None:
        return None
    try:
        members = http_sf.parse(value.encode("latin-1", "replace"), tltype="dictionary")
    except ValueError:
        return None
    said = members.get("u") if isinstance(members, dict) else None
    figure = said[0] if isinstance(said, tuple) else None
    if isinstance(figure, int) and not isinstance(figure, bool) and 0 <= figure <= LEAST_URGENT:
        return figure
    return None
