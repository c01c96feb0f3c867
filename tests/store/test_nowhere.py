"""The store that keeps nothing."""

from proxy.store.nowhere import Nowhere
from tests.store.entries import ENTRY


async def test_nothing_is_kept_and_nothing_is_wrong() -> None:
    """It is up, takes everything, and finds nothing."""
    store = Nowhere()
    store.on_change(lambda _up, _reason: None)
    assert await store.open()
    await store.put(ENTRY, 60.0)
    await store.delete(ENTRY.key)

    assert await store.get(ENTRY.key) is None
    assert await store.get_many(("a", "b")) == (None, None)
    assert await store.health() == (True, 0.0)
    assert (await store.figures()).keys == 0
    assert await store.warnings() == ()
    await store.close()
