"""The proxy, in a day that passes ten times as fast: `python benchmarks/compressed.py serve …`.

Lifetimes and windows are the configuration's, which `economy` writes shortened. When candles close
is the one thing the proxy knows by itself; so its candles are shortened here, and what it waits for
after a close. Nothing else differs from `quota-proxy`.
"""

from economy_trace import COMPRESSION

from proxy.cli import main
from proxy.core import candles

SHORTENED = ("SETTLES", "SETTLED", "_MINUTE", "_HOUR", "_DAY")


def compress() -> None:
    """Shorten candles, in this process."""
    for name in SHORTENED:
        was = getattr(candles, name)
        setattr(candles, name, was // COMPRESSION if isinstance(was, int) else was / COMPRESSION)
    units = candles._UNITS  # noqa: SLF001 - the one place that knows how long a candle is
    for unit in units:
        units[unit] //= COMPRESSION


if __name__ == "__main__":
    compress()
    main()
