"""What passes between the flow and a ledger."""

import pytest

from proxy.core.spending import Level


@pytest.mark.parametrize(("used", "remaining"), [(0, 30), (10.5, 19.5), (30, 0), (45, 0)])
def test_remaining_is_never_negative(used: float, remaining: float) -> None:
    """More may be used than there is (others share the address): then nothing is left."""
    assert remaining == Level("minute", "minute", 30, used, 60).remaining
