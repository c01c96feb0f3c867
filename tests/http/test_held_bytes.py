"""What hits that are known take in memory is what the first level counts for them."""

import asyncio
import gc
import tracemalloc

from proxy.http.front import Front
from proxy.store.memory import Memory
from tests.house import House, endpoint, upstream
from tests.http.test_accelerator_exchanges import Pipe, turns

NUMBER = 1000
LIMIT = 10**9
HEADS = [
    b"GET /coingecko/price?symbol=S%dUSDT&limit=500 HTTP/1.1\r\nHost: localhost:8080\r\n"
    b"User-Agent: bot\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n" % number
    for number in range(NUMBER)
]


def house_with(memory: Memory) -> House:
    """Return a house whose first level is counted."""
    house = House(upstream(endpoint("price", "/price", ttl=3600.0), limits=()))
    parts = house.flow._parts
    parts.cache._first_level = parts.hits._first_level = memory
    parts.hits._forms, parts.hits.changes = memory, memory.changes
    return house


async def ask_all(front: Front) -> int:
    """Ask for everything over one connection; return how many were hits."""
    connection = front.accept()
    pipe = Pipe(connection)
    connection.connection_made(pipe)
    hits = 0
    for head in HEADS:
        await turns(100, connection.is_parked)
        pipe.heard = b""
        connection.data_received(head)
        await turns(100, lambda: bool(pipe.heard) and connection.is_parked())
        hits += b"X-Cache: HIT" in pipe.heard
    pipe.close()
    await turns(5)
    return hits


async def test_what_known_hits_take_is_counted() -> None:
    """Known hit, rendering and row of a thousand targets: within a fifth of what Python took."""
    memory = Memory(LIMIT)
    house = house_with(memory)
    front = Front(house.flow, forms=memory)
    await ask_all(front)  # all miss
    gc.collect()
    tracemalloc.start()
    counted = memory.figures().bytes
    taken, _ = tracemalloc.get_traced_memory()
    hits = [await ask_all(front) for _ in range(3)]
    house.recorder.observations.clear()
    gc.collect()
    taken = tracemalloc.get_traced_memory()[0] - taken
    tracemalloc.stop()
    counted = memory.figures().bytes - counted

    assert hits == [NUMBER] * 3
    assert front._accelerator is None or len(front._accelerator._rows) == NUMBER
    assert 1000 < taken / NUMBER < 5000
    assert 0.8 < counted / taken < 1.25

    for entry in memory:
        memory.delete(entry.key)
    await asyncio.sleep(0)
    assert memory.figures().bytes < 10_000  # the client's own head
    assert len(house.flow._parts.hits._known) == 0
    await front.close(0.1)
    await house.close()
