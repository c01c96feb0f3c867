"""HTTP dates (RFC 9110 section 5.6.7)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.dates import format_date, parse

NOW = 1_763_000_000.0  # November 2025
AUGUST_2050 = 2_544_400_878.0

DATES = [
    # value, time
    ("Thu, 18 Aug 2050 02:01:18 GMT", AUGUST_2050),
    ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
    ("  Sun, 06 Nov 1994 08:49:37 GMT\t", 784_111_777.0),
    ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777.0),
    ("Thursday, 18-Aug-50 02:01:18 GMT", AUGUST_2050),
    ("Friday, 01-Jan-76 00:00:00 GMT", 189_302_400.0),  # 2076 would be more than 50 years ahead
    ("Wednesday, 01-Jan-75 00:00:00 GMT", 3_313_526_400.0),
    ("Sun Nov  6 08:49:37 1994", 784_111_777.0),
    ("Thu Aug 18 02:01:18 2050", AUGUST_2050),
    ("Mon, 01 Jan 2024 23:59:60 GMT", 1_704_153_600.0),  # a leap second
    ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800.0),
    ("Thu, 29 Feb 2023 00:00:00 GMT", None),
    ("Thu, 18 Aug 2050 24:00:00 GMT", None),
    ("Thu, 00 Aug 2050 02:01:18 GMT", None),
    ("Thu, 18 Aug 0000 02:01:18 GMT", None),
    ("THU, 18 Aug 2050 02:01:18 GMT", AUGUST_2050),  # RFC 9111 section 4.2: in any case
    ("Thu, 18 AUG 2050 02:01:18 GMT", AUGUST_2050),
    ("Thu, 18 Aug 2050 02:01:18 gMT", AUGUST_2050),
    ("THURSDAY, 18-aug-50 02:01:18 gmt", AUGUST_2050),
    ("thu aug 18 02:01:18 2050", AUGUST_2050),
    ("Thu, 18 Au\u0261 2050 02:01:18 GMT", None),
    ("Th\u00fc, 18 Aug 2050 02:01:18 GMT", None),
    ("\u017fun, 06 Nov 1994 08:49:37 GMT", None),  # a letter that folds to s is no s
    ("Thu, 18 Aug 2050 02:01:18 UTC", None),
    ("Thu, 18 Aug 2050 02:01:18 AEST", None),
    ("Thu, 18 Aug 2050 02:01:18 +0000", None),
    ("Thu, 18 Aug 2050 02:01:18", None),
    ("Thu, 18 Aug 50 02:01:18 GMT", None),
    ("Thu 18 Aug 2050 02:01:18 GMT", None),
    ("Thu, 18  Aug  2050 02:01:18 GMT", None),
    ("Thu, 18-Aug-2050 02:01:18 GMT", None),
    ("Thu, 18 Aug 2050 02.01.18 GMT", None),
    ("Thu, 18 Aug 2050 2:01:18 GMT", None),
    ("Thu, 8 Aug 2050 02:01:18 GMT", None),
    ("Thu, 18 Aug 2050 02:01:18 GMT, Thu, 18 Aug 2050 02:01:18 GMT", None),
    ("2050-08-18T02:01:18Z", None),
    ("٠٦", None),
    ("0", None),
    ("-1", None),
    ("", None),
]


@pytest.mark.parametrize(("value", "time"), DATES)
def test_three_forms_and_no_other_are_dates(value: str, time: float | None) -> None:
    """IMF-fixdate, RFC 850 and asctime are read, in any case, spacing exact; else it is none."""
    assert time == parse(value, NOW)


@given(st.integers(0, 253_402_300_799))
def test_a_written_date_is_read_back(time: int) -> None:
    """What is written as IMF-fixdate is read as the same second."""
    assert float(time) == parse(format_date(time), NOW)


@given(st.text(max_size=40))
def test_no_text_is_too_strange_to_read(value: str) -> None:
    """Any text is either a date or None."""
    assert parse(value, NOW) is None or isinstance(parse(value, NOW), float)
