"""The store of `store: memory:`: nothing is kept beneath the first level."""

from proxy.core.model import Entry
from proxy.store.operations import StoreFigures, Watcher


class Nowhere:
    """Keeps nothing, and is always up."""

    up = True

    async def open(self) -> bool:
        """Return that it is up."""
        return True

    async def close(self) -> None:
        """Do nothing."""

    def on_change(self, watcher: Watcher) -> None:
        """Take a watcher that will never be called: this store is neither lost nor found."""

    async def get(self, key: str) -> Entry | None:
        """Return nothing."""

    async def get_many(self, keys: tuple[str, ...]) -> tuple[Entry | None, ...]:
        """Return nothing for each."""
        return (None,) * len(keys)

    async def put(self, entry: Entry, keep: float) -> None:
        """Keep nothing."""

    async def delete(self, key: str) -> None:
        """Do nothing."""

    async def health(self) -> tuple[bool, float]:
        """Return `(up, latency)`."""
        return True, 0.0

    async def figures(self) -> StoreFigures:
        """Return that there is nothing."""
        return StoreFigures("memory", up=True, keys=0, memory=0)

    async def warnings(self) -> tuple[str, ...]:
        """Return none."""
        return ()
