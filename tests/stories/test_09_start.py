"""What it needs to start, and what it does without."""

import re
from pathlib import Path

from proxy.sandbox import Sandbox
from tests.berths import free_ports
from tests.stories.stage import ROOT, Stage, command, shipped

PRICE = "/binance/api/v3/ticker/price?symbol=BTCUSDT"
SYMBOLS = "/binance/api/v3/exchangeInfo"
"""Fresh for an hour: however long a restart takes."""

BROKEN = """\
listen: 127.0.0.1:0
stroe: "sqlite:x.db"
upstreams: [bad.yaml]
"""
BAD = """\
name: bad
base_url: http://127.0.0.1:1
limits:
  minute: {limit: many, per: 60s}
endpoints:
  price:
    path: /price
    tll: 90s
"""


async def test_a_broken_yaml_never_starts_a_server(tmp_path: Path) -> None:
    """Every error at once, each with file, line and column; exit 1; no traceback."""
    (tmp_path / "proxy.yaml").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")

    for verb in ("check", "serve"):
        status, _, said = await command(verb, "--config", str(tmp_path / "proxy.yaml"))

        assert 1 == status
        assert "Traceback" not in said
        assert re.search(r"proxy\.yaml:2:1: .*stroe", said)
        assert re.search(r"bad\.yaml:4:\d+: .*limit", said)
        assert re.search(r"bad\.yaml:8:\d+: .*tll", said)


async def test_the_shipped_configuration_is_right() -> None:
    """`check` finds nothing wrong, and names the upstreams."""
    status, out, _ = await command("check")

    assert 0 == status
    assert "coingecko" in out
    assert "binance-futures" in out


async def test_an_unreachable_store_at_start(sandbox: Sandbox, stage: Stage) -> None:
    """The proxy starts, says so, and works on the first level alone."""
    proxy = await stage.proxy(REDIS_URL=f"redis://127.0.0.1:{free_ports(1)[0]}")

    first, second = await proxy.get(PRICE), await proxy.get(PRICE)

    assert ("MISS", "HIT") == (first.verdict, second.verdict)
    assert 1 == sandbox.counts("binance").requests
    assert "store" in proxy.log


async def test_a_restart_finds_what_was_stored(sandbox: Sandbox, stage: Stage) -> None:
    """SQLite keeps entries; a restart in peace ends with 0."""
    proxy = await stage.proxy()
    await proxy.get(SYMBOLS)

    assert 0 == await proxy.stop()
    await proxy.start()

    assert "HIT" == (await proxy.get(SYMBOLS)).verdict
    assert 1 == sandbox.counts("binance").requests


async def test_no_secret_is_ever_logged_or_shown(sandbox: Sandbox, stage: Stage) -> None:
    """Keys of ours and of the bots stand in no log line, header, metric or error."""
    proxy = await stage.proxy(COINGECKO_API_KEY="CG-our-own-secret", QUOTA_PROXY_LOG_LEVEL="debug")
    paths = (
        "/coingecko/api/v3/simple/price?ids=bitcoin&vs_currencies=usd&x_cg_demo_api_key=CG-bots",
        "/coingecko/api/v3/nothing?x_cg_demo_api_key=CG-bots",
        "/binance/api/v3/account?timestamp=1&signature=5ec4e7",
    )
    shown = []
    for path in paths:
        answer = await proxy.get(path, **{"X-MBX-APIKEY": "bots-binance-key"})
        shown.append(f"{sorted(answer.headers.items())}")
    pages = ("/metrics", "/api/v1/stats", "/api/v1/quota")
    shown += [(await proxy.get_admin(page)).body.decode() for page in pages]
    shown.append(proxy.log)

    for secret in ("CG-our-own-secret", "CG-bots", "5ec4e7", "bots-binance-key"):
        assert not [text for text in shown if secret in text]
    assert any("CG-our-own-secret" in str(each.fields) for each in sandbox.received("coingecko"))


async def test_the_embedded_store_is_the_default(sandbox: Sandbox, stage: Stage) -> None:
    """`store:` unset in the environment is a file under var/."""
    config = shipped(stage.folder, {})

    assert "${REDIS_URL:-sqlite:var/quota-proxy.db}" in config.read_text(encoding="utf-8")
    assert "/var/" in (ROOT / ".gitignore").read_text(encoding="utf-8")
