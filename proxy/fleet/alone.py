"""A process that shares its store with nobody: whoever flies has nobody to tell, at no cost."""

import math


class Alone:
    """A fleet of one."""

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def lead(self, key: str, known: float, until: float = math.inf) -> None:
        """Say that there is nobody to lead."""
