"""Fixtures of the stories: the sandbox in the test's own loop, instances in their own processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.sandbox import Sandbox
from tests.stories.policies import House, housed
from tests.stories.stage import Stage, staged


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """All simulated providers, with their real limits."""
    async with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def stage(sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose instances have the sandbox as providers."""
    async with staged(tmp_path, sandbox.environment()) as stage:
        yield stage


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A proxy under three policies, before an origin that the story writes."""
    async with housed(tmp_path) as house:
        yield house
