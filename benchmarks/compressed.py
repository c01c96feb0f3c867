"""The proxy, in a day that passes ten times as fast: `python benchmarks/compressed.py serve …`.

Lifetimes and windows are the configuration's, which `economy` writes shortened. When candles close,
and how often it looks for what is to be refreshed ahead, the proxy knows by itself; so candles are
shortened here, what it waits for after a close, and the pauses between looks. Nothing else differs
from `quota-proxy`.
"""

from economy_trace import COMPRESSION

from proxy.cli import main
from proxy.core import candles
from proxy.freshening import ahead, dues

SHORTENED = ("SETTLES", "SETTLED", "_MINUTE", "_HOUR", "_DAY")


def compress() -> None:
    """Shorten candles, and the pauses between looks, in this process."""
    for name in SHORTENED:
        was = getattr(candles, name)
        setattr(candles, name, was // COMPRESSION if isinstance(was, int) else was / COMPRESSION)
    units = candles._UNITS  # noqa: SLF001 - the one place that knows how long a candle is
    for unit in units:
        units[unit] //= COMPRESSION
    for module, name in ((ahead, "PERIOD"), (dues, "AGAIN")):
        setattr(module, name, getattr(module, name) / COMPRESSION)


if __name__ == "__main__":
    compress()
    main()
