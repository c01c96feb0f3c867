"""What a provider saw."""

import json

from proxy.sandbox.counts import REMEMBERED, Counts, Received


def test_counts_are_shown_as_json() -> None:
    """Figures, paths and statuses go into JSON as they are."""
    counts = Counts(requests=2, granted=1, refused=1)
    counts.by_path["/x"] += 2
    counts.by_status.update([200, 429])

    shown = json.loads(json.dumps(counts.shown()))

    assert shown["by_status"] == {"200": 1, "429": 1}
    assert shown["by_path"] == {"/x": 2}
    assert shown["requests"] == 2


def test_only_the_last_requests_are_kept_whole() -> None:
    """Memory is bounded, whatever is asked."""
    counts = Counts()
    for number in range(REMEMBERED + 5):
        counts.received.append(Received(float(number), "GET", "/", (), b"", 200))

    assert len(counts.received) == REMEMBERED
    assert counts.received[0].at == 5.0
