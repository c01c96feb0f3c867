"""Settings: frozen values, without secrets in what they show."""

from proxy.config.settings import AdminSettings, ClientRule, Listener, StoreSettings


def test_a_listener_reads_as_in_a_url() -> None:
    """IPv6 addresses stand in brackets, and no host means all."""
    assert Listener("::1", 80).address == "[::1]:80"
    assert Listener("127.0.0.1", 80).address == "127.0.0.1:80"
    assert Listener("", 80).address == ":80"


def test_no_secret_is_shown() -> None:
    """Tokens and URLs with passwords are in no repr."""
    secrets = (
        AdminSettings(Listener("h", 1), token="s3cr3t"),  # noqa: S106 - made up
        StoreSettings("redis", "redis://:s3cr3t@h"),
        ClientRule("x", token="s3cr3t"),  # noqa: S106 - made up
    )

    assert "s3cr3t" not in repr(secrets)
