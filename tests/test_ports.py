"""The shapes at the edge: how long an exchange may take, and why a body broke."""

from proxy.core.model import Failure
from proxy.ports import BrokenExchangeError, Outbound
from tests.house import upstream


def test_an_exchange_gets_no_more_than_is_left() -> None:
    """What is left of a deadline cuts the timeout; plenty of time does not lengthen it."""
    outbound = Outbound(upstream(), "GET", "/price", (), timeout=8.0)

    assert 3.0 == outbound.within(3.0).timeout
    assert outbound is outbound.within(60.0)


def test_a_broken_exchange_says_why() -> None:
    """Its text is the detail, or the failure's own word where there is none."""
    assert "cut short" == str(BrokenExchangeError(Failure.PROTOCOL, "cut short"))
    assert "timeout" == str(BrokenExchangeError(Failure.TIMEOUT))
