"""Upstreams: what a file says about a provider as a whole."""

from collections.abc import Callable
from pathlib import Path

from proxy.core.upstreams import BodyCheck, Credentials, Hold, Upstream, Usage

OneUpstream = Callable[..., Upstream]


def test_the_least_that_a_file_says(one: OneUpstream) -> None:
    """A name and an address: everything else is the core's default."""
    upstream = one("")

    assert upstream == Upstream(
        name="a",
        base_url="http://a",
        prefix="/a",
        endpoints=(),
        unmatched=upstream.unmatched,
    )


def test_everything_that_a_file_can_say(one: OneUpstream, tmp_path: Path) -> None:
    """Each key arrives in the core's value."""
    bundle = tmp_path / "upstreams" / "ca.pem"
    bundle.parent.mkdir()
    bundle.touch()
    upstream = one(
        "prefix: /x/y/\n"
        "hosts: [A.Localhost]\n"
        "listen: 127.0.0.1:8082\n"
        'credentials: {query: key, value: "${KEY}", required: true}\n'
        "client_credentials: forward\n"
        "secrets: {headers: [X-Key], parameters: [api_key]}\n"
        "private: {headers: [X-Sign], parameters: [sign]}\n"
        "limits: {minute: {limit: 3, per: 1m}}\n"
        "unmatched: refuse\n"
        "deadline: 6s\n"
        "timeout: 7s\n"
        "connect_timeout: 10s\n"
        "max_waiting: 10\n"
        "retry_after_max: 30s\n"
        "body_checks:\n"
        "  - {path: error.*, contains: [Too many]}\n"
        "  - {path: code, values: [50011, true, x], statuses: [200, 400], counts_as: error}\n"
        "usage:\n"
        "  - {limit: minute, header: X-Left, means: remaining, reset_header: X-Reset,\n"
        "     reset_unit: epoch_ms}\n"
        "  - {limit: minute, body: status.credit_count, means: cost}\n"
        "hold:\n"
        "  statuses: [429]\n"
        "  until: ['until (\\d+)']\n"
        "  blocks: [{status: 403, contains: too frequent, hold: 10m}]\n"
        "  first: 5s\n"
        "  most: 1m\n"
        "when_ledger_lost: refuse\n"
        "outbound_proxy: http://proxy:3128\n"
        "tls_ca: ca.pem\n"
        "user_agent: bot\n"
        "error_body: binance\n"
        "rewrite_links: true\n",
        {"KEY": "k"},
    )

    assert upstream == Upstream(
        name="a",
        base_url="http://a",
        prefix="/x/y",
        endpoints=(),
        unmatched=None,
        hosts=("a.localhost",),
        listen="127.0.0.1:8082",
        credentials=Credentials(query="key", value="k", variable="KEY", required=True),
        client_credentials="forward",
        secret_parameters=frozenset({"key", "api_key"}),
        secret_headers=frozenset({"x-key"}),
        private_headers=frozenset({"x-sign"}),
        private_parameters=frozenset({"sign"}),
        limits=upstream.limits,
        deadline=6.0,
        timeout=6.0,
        connect_timeout=6.0,
        max_waiting=10,
        retry_after_max=30.0,
        body_checks=(
            BodyCheck("error.*", contains=("Too many",)),
            BodyCheck("code", ("50011", "true", "x"), frozenset({200, 400}), "error"),
        ),
        usage=(
            Usage("minute", "X-Left", None, "remaining", "X-Reset", "epoch_ms"),
            Usage("minute", body="status.credit_count", means="cost"),
        ),
        hold=Hold(frozenset({429}), (r"until (\d+)",), ((403, "too frequent", 600.0),), 5.0, 60.0),
        when_ledger_lost="refuse",
        outbound_proxy="http://proxy:3128",
        tls_ca=str(bundle),
        user_agent="bot",
        error_body="binance",
        rewrite_links=True,
    )


def test_a_prefix_of_everything(one: OneUpstream) -> None:
    """`prefix: /` is allowed: it loses to every longer one."""
    assert one("prefix: /\n").prefix == "/"


def test_a_port_of_its_own_can_be_switched_off(one: OneUpstream) -> None:
    """Several instances on one machine cannot all have it: `off`, from the environment say."""
    assert one("listen: ${LISTEN:-127.0.0.1:8082}\n", {"LISTEN": "off"}).listen is None
