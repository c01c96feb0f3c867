"""Configurations written into a folder of the test's own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from proxy.config.loading import load
from proxy.config.problems import ConfigurationError, Problem
from proxy.config.settings import Settings
from proxy.core.upstreams import Upstream

Configure: TypeAlias = Callable[..., Settings]
Complaints: TypeAlias = Callable[..., tuple[Problem, ...]]
OneUpstream: TypeAlias = Callable[..., Upstream]


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """Return what writes `proxy.yaml` and upstreams' files, and loads them."""

    def written(
        proxy: str = "", environ: Mapping[str, str] | None = None, **upstreams: str
    ) -> Settings:
        folder = tmp_path / "upstreams"
        folder.mkdir(exist_ok=True)
        (tmp_path / "proxy.yaml").write_text(proxy or "{}\n", encoding="utf-8")
        for name, text in (upstreams or {"a": "name: a\nbase_url: http://a\n"}).items():
            (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
        return load(tmp_path / "proxy.yaml", environ or {})

    return written


@pytest.fixture
def complaints(configure: Configure) -> Complaints:
    """Return what loads as `configure` does, and gives the problems that were found."""

    def found(
        proxy: str = "", environ: Mapping[str, str] | None = None, **upstreams: str
    ) -> tuple[Problem, ...]:
        with pytest.raises(ConfigurationError) as raised:
            configure(proxy, environ, **upstreams)
        return raised.value.problems

    return found


@pytest.fixture
def one(configure: Configure) -> OneUpstream:
    """Return what loads one upstream's file, given without its name and address."""

    def made(text: str, environ: Mapping[str, str] | None = None) -> Upstream:
        settings = configure("", environ, a=f"name: a\nbase_url: http://a\n{text}")
        return settings.upstreams[0]

    return made
