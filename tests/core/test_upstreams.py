"""What follows from an endpoint's rules."""

import pytest

from proxy.core.model import Policy
from proxy.core.upstreams import Endpoint
from tests.values import replace

PRICE = Endpoint("price", "u", "/price", (), ttl=60.0)


@pytest.mark.parametrize(
    ("changed", "refreshable"),
    [
        ({}, True),
        ({"live": True}, False),
        ({"private": True}, False),
        ({"ttl": 0.0}, False),
        ({"policy": Policy.OBEY, "ttl": None}, False),
    ],
)
def test_what_can_be_refreshed_for_nobody(changed: dict[str, object], *, refreshable: bool) -> None:
    """Answers that are stored, and are the same whoever asks."""
    assert refreshable is replace(PRICE, **changed).refreshable  # type: ignore[arg-type]  # rows name the fields
