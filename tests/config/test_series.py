"""`align`, `round`, `settled` and `contains`: from the file to the rule."""

from proxy.config.series import ContainsFile, RoundFile, check
from proxy.core.series import Contains, Span
from proxy.core.tables import Table


class Said:
    """What an endpoint says."""

    def __init__(
        self,
        align: "str | Table | None",
        round_: RoundFile | None,
        settled: float,
        contains: ContainsFile | None = None,
    ) -> None:
        self.align = align
        self.round = round_
        self.settled = settled
        self.contains = contains


def test_the_files_words_become_values() -> None:
    """Units are milliseconds unless the file says seconds."""
    assert Span("from", "to", 1000) == RoundFile(start="from", end="to", unit="s").made()
    assert Span("a", "b", 1) == RoundFile(start="a", end="b").made()
    assert (
        Contains("limit", 500, "first", "")
        == ContainsFile(parameter="limit", absent=500, keeps="first").made()
    )
    assert (
        Contains("limit", None, "last", "a", 0, (499, 99))
        == ContainsFile(parameter="limit", first_from="a", opens=0, fetch=[99, 499]).made()  # type: ignore[arg-type]  # as the file says it
    )


def test_what_hangs_in_the_air_is_told() -> None:
    """Rounding needs the candles' length, `settled` needs the range's end."""
    told: list[str] = []
    check(Said(None, RoundFile(start="a", end="b"), 0), lambda key, _: told.append(key))
    check(Said("interval", None, 60), lambda key, _: told.append(key))
    check(Said("interval", RoundFile(start="a", end="b"), 60), lambda key, _: told.append(key))

    assert ["round", "settled"] == told

    told.clear()
    opens = ContainsFile(parameter="limit", first_from="a", opens=0)
    check(Said("interval", None, 0, opens), lambda key, _: told.append(key))
    check(
        Said("interval", RoundFile(start="c", end="b"), 0, opens), lambda key, _: told.append(key)
    )
    check(
        Said("interval", RoundFile(start="a", end="b"), 0, opens), lambda key, _: told.append(key)
    )

    assert ["contains", "contains"] == told
