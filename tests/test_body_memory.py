"""What bodies on their way hold together."""

import asyncio

from proxy.body_memory import BodyMemory


async def test_one_who_waits_is_told_for_each_part_that_is_let_go() -> None:
    """In the order in which they came to wait, and not before there is room."""
    memory = BodyMemory(most=100)
    memory.take(150)
    first, second = asyncio.Event(), asyncio.Event()
    for waiting in (first, second, first):
        memory.tell(waiting)

    told = []
    for size in (50, 10, 10):
        memory.free(size)
        told.append((memory.full, first.is_set(), second.is_set()))

    assert [(True, False, False), (False, True, False), (False, True, True)] == told
    assert 80 == memory.held
