"""What a connection to Redis proves itself with."""

from pathlib import Path

import pytest

from proxy.backends.address import RedisOptions, parse
from proxy.backends.credentials import Credentials, tls_context
from proxy.backends.errors import BackendLostError

URL = "rediss://user:old@h"


def credentials(**options: object) -> Credentials:
    return Credentials(parse(URL), RedisOptions(URL, **options))  # type: ignore[arg-type]


def test_the_url_gives_user_and_password_where_nothing_else_does() -> None:
    """Without options, what stands in the URL is used."""
    assert credentials()() == ("user", "old")


def test_a_password_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """A password that was rotated is used at the next connect, and only its first line."""
    file = tmp_path / "password"
    file.write_text("first\nsomething else\n")
    read = credentials(username="bot", password_file=file)
    before = read()
    file.write_text("second")

    assert (before, read()) == (("bot", "first"), ("bot", "second"))


def test_a_password_file_that_is_gone_is_a_lost_backend(tmp_path: Path) -> None:
    """It is an error of this room, which the reconnecting survives."""
    with pytest.raises(BackendLostError):
        credentials(password_file=tmp_path / "none")()


def test_tls_is_only_spoken_where_the_url_says_so(tmp_path: Path) -> None:
    """`redis://` has no TLS context; trusted certificates that cannot be read are an error."""
    plain = parse("redis://h")
    assert tls_context(plain, RedisOptions("redis://h")) is None
    with pytest.raises(BackendLostError):
        tls_context(parse(URL), RedisOptions(URL, tls_ca=tmp_path / "none"))
