"""Tasks that outlive their caller: held until they end, their errors said, cancelled at the end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Tasks:
    """A group of background tasks with one owner."""

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        """Take what is to be told `(name, error)` of a task that failed."""
        self._running: dict[asyncio.Task[Any], Callable[[], None] | None] = {}
        """What runs, and whom to tell when it has ended."""
        self._on_error = on_error

    def __len__(self) -> int:
        return len(self._running)

    def start(
        self,
        work: Coroutine[Any, Any, Any],
        name: str,
        ended: Callable[[], None] | None = None,
    ) -> asyncio.Task[Any]:
        """Run `work` until it ends; whoever also awaits the task sees its result or error.

        `ended` is called when it has, even if it was cancelled before it began.
        """
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running[task] = ended
        task.add_done_callback(self._ended)
        return task

    async def close(self, grace: float = 0.0) -> None:
        """Wait for what still runs, `grace` seconds at most; then cancel it and see it end."""
        if grace > 0 and self._running:
            await asyncio.wait(self._running, timeout=grace)
        running = tuple(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        told = self._running.pop(task, None)
        if told is not None:
            told()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(task.get_name(), error)
