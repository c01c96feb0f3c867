"""What all tests share: the fixtures of `tests/fixtures`, hypothesis' profiles, aioresponses."""

import os
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from hypothesis import HealthCheck, settings

pytest_plugins = [
    f"tests.fixtures.{path.stem}"
    for path in sorted((Path(__file__).parent / "fixtures").glob("*.py"))
]

LONG = bool(os.environ.get("QUOTA_PROXY_LONG"))
"""`make test-long`: whole minutes instead of seconds, thousands of examples instead of tens."""

_NO_CLOCK = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

# No deadline: a busy machine is no bug. Derandomised, so that a failure comes back.
settings.register_profile(
    "short", max_examples=60, deadline=None, derandomize=True, suppress_health_check=_NO_CLOCK
)
settings.register_profile("long", max_examples=5000, deadline=None, suppress_health_check=_NO_CLOCK)
settings.load_profile("long" if LONG else "short")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their length.

    gzip writes the time into them, and pytest's processes, which collect in different seconds,
    would not agree on what the tests are called.
    """
    return f"{argname}:{len(val)} bytes" if isinstance(val, bytes) else None


class MockedResponse(ClientResponse):
    """An answer as aioresponses 0.7.9 makes it; aiohttp 3.14 wants to know its writer as well."""

    __init__ = partialmethod(ClientResponse.__init__, stream_writer=Mock(output_size=0))


@pytest.fixture
def upstream_answers() -> Iterator[aioresponses]:
    """aioresponses, where only the upstream's answer matters; loopback goes through.

    upstream_answers.get("http://provider.test/x", status=200, payload={"a": 1})
    """
    with aioresponses(passthrough=["http://127.0.0.1"]) as mock:
        for method in ("get", "post", "put", "delete", "head", "patch", "options"):
            setattr(mock, method, _with_class(getattr(mock, method)))
        yield mock


def _with_class(add: Callable[..., None]) -> Callable[..., None]:
    def added(*where: Any, **answer: Any) -> None:
        add(*where, **{"response_class": MockedResponse, **answer})

    return added


@pytest.fixture(scope="session")
def long_form() -> bool:
    """Whether the long forms are asked for."""
    return LONG
