"""What passes between the flow and a ledger."""

from proxy.core.spending import Level


def test_what_remains_is_never_below_nothing() -> None:
    """A count may be over its limit (the provider said so): nothing is left, not less."""
    assert Level("m", "m", size=10, used=4, resets_in=1.0).remaining == 6
    assert Level("m", "m", size=10, used=14, resets_in=1.0).remaining == 0
