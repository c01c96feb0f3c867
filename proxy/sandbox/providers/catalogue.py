"""Every simulated provider, by its name."""

from proxy.sandbox.provider import Provider
from proxy.sandbox.providers import (
    binance,
    binance_futures,
    coingecko,
    coinmarketcap,
    cryptopanic,
    dexscreener,
    fear_and_greed,
    kraken,
    okx,
)

PROVIDERS: dict[str, Provider] = {
    module.PROVIDER.name: module.PROVIDER
    for module in (
        coingecko,
        binance,
        binance_futures,
        dexscreener,
        coinmarketcap,
        cryptopanic,
        fear_and_greed,
        kraken,
        okx,
    )
}
