"""`align`, `round`, `settled` and `contains`: from the file to the rule."""

from proxy.config.series import ContainsFile, RoundFile, check
from proxy.core.series import Contains, Span
from proxy.core.tables import Table


class Said:
    """What an endpoint says."""

    def __init__(
        self, align: "str | Table | None", round_: RoundFile | None, settled: float
    ) -> None:
        self.align = align
        self.round = round_
        self.settled = settled


def test_the_files_words_become_values() -> None:
    """Units are milliseconds unless the file says seconds."""
    assert Span("from", "to", 1000) == RoundFile(start="from", end="to", unit="s").made()
    assert Span("a", "b", 1) == RoundFile(start="a", end="b").made()
    assert (
        Contains("limit", 500, "first", "")
        == ContainsFile(parameter="limit", absent=500, keeps="first").made()
    )


def test_what_hangs_in_the_air_is_told() -> None:
    """Rounding needs the candles' length, `settled` needs the range's end."""
    told: list[str] = []
    check(Said(None, RoundFile(start="a", end="b"), 0), lambda key, _: told.append(key))
    check(Said("interval", None, 60), lambda key, _: told.append(key))
    check(Said("interval", RoundFile(start="a", end="b"), 60), lambda key, _: told.append(key))

    assert ["round", "settled"] == told
