"""What keys the HMAC of credentials that clients bring."""

import concurrent.futures
import stat
from pathlib import Path

import pytest

from proxy.config.loading import load
from proxy.config.settings import Settings
from proxy.own_secret import own_secret
from tests.values import replace


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "proxy.yaml").write_text("upstreams: []\n")
    plain = load(tmp_path / "proxy.yaml", {})
    return replace(
        plain, store=replace(plain.store, kind="sqlite", path=str(tmp_path / "var" / "a.db"))
    )


def test_one_that_is_configured_is_taken(settings: Settings, tmp_path: Path) -> None:
    """And none is made."""
    chosen = replace(settings, secret="chosen")  # noqa: S106 - a made-up one
    assert own_secret(chosen) == b"chosen"
    assert not (tmp_path / "var").exists()


def test_it_is_made_once_and_its_owners_alone(settings: Settings, tmp_path: Path) -> None:
    """Another start, or another worker, reads the same; nobody else can."""
    made = own_secret(settings)
    assert len(made) >= 32
    assert own_secret(settings) == made
    file = tmp_path / "var" / "a.secret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == ["a.secret"]


def test_workers_that_start_together_agree(settings: Settings) -> None:
    """Whoever comes second takes what the first has made."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(lambda _: own_secret(settings), range(64)))) == 1


def test_two_installations_differ(settings: Settings, tmp_path: Path) -> None:
    """It is no constant of the product."""
    other = replace(settings, store=replace(settings.store, path=str(tmp_path / "b" / "a.db")))
    assert own_secret(settings) != own_secret(other)


def test_instances_on_one_redis_agree_without_a_word(settings: Settings) -> None:
    """The namespace is what they share."""
    redis = replace(settings, store=replace(settings.store, kind="redis", namespace="bots"))
    assert own_secret(redis) == b"bots"


def test_a_folder_that_cannot_be_written_stops_nobody(settings: Settings, tmp_path: Path) -> None:
    """The process has one of its own then, which no other can guess."""
    (tmp_path / "var").write_text("a file is in the way")
    assert own_secret(settings) != own_secret(settings)
