"""Loading: files, globs, `.env`, and that nothing but ConfigurationError ever comes of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.loading import load
from proxy.config.problems import ConfigurationError, Problem
from proxy.config.settings import Settings

Configure = Callable[..., Settings]
Complaints = Callable[..., tuple[Problem, ...]]

SOUND = "name: {}\nbase_url: http://a\nlimits: {{minute: {{limit: 1, per: 1m}}}}\n"


def test_upstreams_come_in_the_order_of_the_globs(tmp_path: Path) -> None:
    """Each file is read once, in the order of the patterns and then of the names."""
    for name in ("b", "a", "z"):
        (tmp_path / f"{name}.yaml").write_text(SOUND.format(name), encoding="utf-8")
    (tmp_path / "proxy.yml").write_text("upstreams: [z.yaml, '*.yaml']\n", encoding="utf-8")
    settings = load(tmp_path / "proxy.yml", {})

    assert [upstream.name for upstream in settings.upstreams] == ["z", "a", "b"]
    assert settings.file == tmp_path / "proxy.yml"
    assert settings.files[1:] == tuple(tmp_path / f"{name}.yaml" for name in "zab")


def test_a_dotenv_beside_the_file_never_overrides_the_environment(
    configure: Configure, tmp_path: Path
) -> None:
    """`.env` fills in what the environment does not have."""
    (tmp_path / ".env").write_text("FILE=file\nBOTH=file\n", encoding="utf-8")
    settings = configure(
        "",
        {"BOTH": "environment"},
        a="name: a\nbase_url: http://a\nhosts: ['${FILE}', '${BOTH}']\n",
    )

    assert settings.upstreams[0].hosts == ("file", "environment")


def test_a_faulty_dotenv_is_a_problem(complaints: Complaints, tmp_path: Path) -> None:
    """Its line is named, and not shown: it may hold a secret."""
    (tmp_path / ".env").write_text("A=1\ns3cr3t\n", encoding="utf-8")
    (found,) = complaints()

    assert (found.file, found.line) == (str(tmp_path / ".env"), 2)
    assert "s3cr3t" not in found.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A path that cannot be read is a problem as any other."""
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "proxy.yaml", {})


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    """So is a folder."""
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path, {})


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    """So are bytes that are no UTF-8."""
    (tmp_path / "proxy.yaml").write_bytes(b"a: \xff")

    with pytest.raises(ConfigurationError, match="is no UTF-8 text: byte 3"):
        load(tmp_path / "proxy.yaml", {})


def test_errors_of_all_files_come_at_once(complaints: Complaints) -> None:
    """A broken file hides nothing of the others."""
    found = complaints(
        "memory: lots\n",
        a="name: a\nbase_url: http://a\nx: 1\n",
        b="name: [\n",
        c=SOUND.format("a"),
    )

    assert [(Path(each.file).name, each.path) for each in found] == [
        ("proxy.yaml", "memory"),
        ("a.yaml", "x"),
        ("b.yaml", ""),
        ("c.yaml", "name"),
    ]


def test_the_contracts_example(configure: Configure) -> None:
    """What the contract shows is what loads."""
    settings = configure(
        "listen: ${QUOTA_PROXY_LISTEN:-127.0.0.1:8080}   # or {address, …}\n"
        "admin:\n"
        "  listen: ${QUOTA_PROXY_ADMIN_LISTEN:-127.0.0.1:8081}\n"
        "  token: ${QUOTA_PROXY_ADMIN_TOKEN:-}\n"
        "store: ${REDIS_URL:-sqlite:var/quota-proxy.db}\n"
        "memory: 256MiB\n"
        "fleet_size: 1\n"
        "upstreams: [upstreams/*.yaml]\n",
        {},
        coingecko="name: coingecko\n"
        "base_url: ${COINGECKO_BASE_URL:-https://api.coingecko.com}\n"
        "prefix: /coingecko\n"
        "hosts: [coingecko.localhost]\n"
        "listen: null\n"
        'credentials: {header: x-cg-demo-api-key, value: "${COINGECKO_API_KEY:-}"}\n'
        "deadline: 8s\n"
        "timeout: 8s\n"
        "max_wait: 5s\n"
        "rescue_after: 500ms\n"
        "limits:\n"
        "  minute: {limit: 30, per: 60s, algorithm: sliding_window}\n"
        "  month: {limit: 10000, per: month, algorithm: fixed_window}\n"
        "defaults: {ttl: 60s, upstream_cache_control: ignore}\n"
        "endpoints:\n"
        "  price:\n"
        "    path: /api/v3/simple/price\n"
        "    ttl: 90s\n"
        "  coin_metadata:\n"
        "    path: /api/v3/coins/{id}\n"
        '    query: {market_data: "false"}\n'
        "    ttl: 1h\n"
        "  coin:\n"
        "    path: /api/v3/coins/{id}\n"
        "    ttl: 5m\n"
        "  klines:\n"
        "    path: /api/v3/klines\n"
        "    ttl: {by: interval, 1m: 60s, 5m: 3m, 15m: 5m, 1h: 10m, 4h: 30m, 1d: 1h, else: 60s}\n"
        "    cost: 2\n"
        "  depth:\n"
        "    path: /api/v3/depth\n"
        "    ttl: 2s\n"
        "    cost: {by: limit, absent: 5, up_to: {100: 5, 500: 25, 1000: 50, 5000: 250}}\n",
    )

    assert settings.warnings == ()
    assert [endpoint.name for endpoint in settings.upstreams[0].endpoints] == [
        "price",
        "coin_metadata",
        "coin",
        "klines",
        "depth",
    ]


KEYS = st.sampled_from(
    [
        "name",
        "base_url",
        "prefix",
        "hosts",
        "listen",
        "plan",
        "plans",
        "credentials",
        "secrets",
        "private",
        "limits",
        "defaults",
        "endpoints",
        "methods",
        "unmatched",
        "unmatched_cost",
        "deadline",
        "hold",
        "usage",
        "body_checks",
        "path",
        "ttl",
        "cost",
        "query",
        "limit",
        "per",
        "algorithm",
        "burst",
        "by",
        "else",
        "up_to",
        "absent",
        "sum",
        "each",
        "admin",
        "store",
        "ledger",
        "memory",
        "fleet_size",
        "log",
        "clients",
        "named",
        "upstreams",
        "open",
        "x",
    ]
)
SCALARS = st.sampled_from(
    [
        "a",
        "1",
        "0",
        "-1",
        "5m",
        "month",
        "true",
        "no",
        "~",
        "''",
        "/x/{id}",
        "/{r:path}",
        "${NO}",
        "${SET}",
        "http://h",
        "sqlite:x",
        "127.0.0.1:1",
        "10%",
        "3x",
        "auto",
        ".nan",
        "1e400",
        "GET",
    ]
)
NODES: st.SearchStrategy[str] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda found: f"[{', '.join(found)}]")
        | st.lists(st.tuples(KEYS, inner), max_size=5).map(
            lambda found: "{" + ", ".join(f"{key}: {value}" for key, value in found) + "}"
        )
    ),
    max_leaves=20,
)


def document(nodes: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return documents that are mappings of known words to anything."""
    return st.lists(st.tuples(KEYS, nodes), max_size=8).map(
        lambda found: "\n".join(f"{key}: {value}" for key, value in found)
    )


@given(document(NODES), document(NODES) | st.text())
def test_garbage_is_refused_and_never_a_surprise(tmp_path: Path, proxy: str, upstream: str) -> None:
    """Whatever the files hold, they load, or ConfigurationError says what is wrong with them."""
    (tmp_path / "proxy.yaml").write_text(f"upstreams: [a.yaml]\n{proxy}", encoding="utf-8")
    (tmp_path / "a.yaml").write_bytes(upstream.encode("utf-8", "surrogatepass"))
    try:
        load(tmp_path / "proxy.yaml", {"SET": "s3cr3t"})
    except ConfigurationError as error:
        assert error.problems  # noqa: PT017 - most of it is refused
        assert "s3cr3t" not in str(error)  # noqa: PT017 - likewise
