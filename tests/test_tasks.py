"""Tasks that outlive their caller."""

import asyncio

from proxy.tasks import Tasks


async def test_errors_are_said() -> None:
    """A task that nobody awaits does not lose its error."""
    said: list[tuple[str, BaseException]] = []
    tasks = Tasks(lambda name, error: said.append((name, error)))

    async def failing() -> None:
        raise ValueError("broken")

    await asyncio.wait([tasks.start(failing(), "sweep")])
    await asyncio.sleep(0)

    assert [("sweep", "broken")] == [(name, str(error)) for name, error in said]
    assert len(tasks) == 0


async def test_close_ends_all() -> None:
    """After closing nothing runs any more, and being cancelled is no error."""
    said: list[BaseException] = []
    tasks = Tasks(lambda _, error: said.append(error))
    forever = tasks.start(asyncio.Event().wait(), "forever")
    await tasks.close()

    assert forever.cancelled()
    assert said == []


async def test_close_lets_what_is_nearly_done_end() -> None:
    """Within the grace a task ends by itself."""
    tasks = Tasks(lambda *_: None)
    done = asyncio.Event()
    writing = tasks.start(done.wait(), "write")
    asyncio.get_running_loop().call_soon(done.set)
    await tasks.close(grace=5)

    assert writing.result()


async def test_an_end_is_told() -> None:
    """Whoever asks hears of it, also where the task was cancelled before it began."""
    tasks = Tasks(lambda *_: None)
    told: list[str] = []
    tasks.start(asyncio.sleep(0), "ends", lambda: told.append("ended"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks.start(asyncio.sleep(0), "never begins", lambda: told.append("cancelled"))
    await tasks.close()

    assert ["ended", "cancelled"] == told
