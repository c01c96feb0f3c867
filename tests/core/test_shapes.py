"""What an operator declares of shared calls."""

import pytest

from proxy.core.shapes import Batch, Case


@pytest.mark.parametrize(
    ("case", "member", "expected"),
    [
        (Case.EXACT, "So11", "So11"),
        (Case.LOWER, "BitCoin", "bitcoin"),
        (Case.UPPER, "btc", "BTC"),
        (Case.HEX, "0xAB", "0xab"),
        (Case.HEX, "So11", "So11"),
    ],
)
def test_one_member_has_one_spelling(case: Case, member: str, expected: str) -> None:
    """EVM addresses are compared without case, Solana's never (providers.md)."""
    assert expected == Batch("addresses", case=case).same(member)
