"""The admin listener, over a socket."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.admin.app import make_admin
from proxy.admin.doors import Doors
from tests.admin.house import MONTH, WrittenHouse, WrittenStore, level

PAGES = ("/health/redis", "/metrics", "/api/v1/stats", "/api/v1/quota")


@pytest.fixture
def house() -> WrittenHouse:
    return WrittenHouse()


@pytest.fixture
async def admin(house: WrittenHouse) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(make_admin(house.house, Doors("s3cret")))) as client:
        yield client


TOKEN = {"Authorization": "Bearer s3cret"}


@pytest.mark.parametrize("path", PAGES)
async def test_the_token_is_asked_for(admin: TestClient, path: str) -> None:
    """401 without it, an answer with it."""
    without = await admin.get(path)
    with_token = await admin.get(path, headers=TOKEN)

    assert (401, "application/problem+json") == (without.status, without.content_type)
    assert without.headers["WWW-Authenticate"].startswith("Bearer")
    assert 200 == with_token.status
    assert "no-store" == with_token.headers["Cache-Control"]


async def test_health_needs_no_token_and_tells_nothing_else(admin: TestClient) -> None:
    """Warnings are for the trusted."""
    assert {"status": "ok"} == await (await admin.get("/healthz")).json()
    assert {"status": "ready"} == await (await admin.get("/readyz")).json()
    assert "warnings" in await (await admin.get("/readyz", headers=TOKEN)).json()


async def test_a_bad_state_is_503(admin: TestClient, house: WrittenHouse) -> None:
    """Not ready, and a store that is down."""
    house.ready = False
    house.store.up = False

    assert 503 == (await admin.get("/readyz")).status
    assert 503 == (await admin.get("/health/redis", headers=TOKEN)).status


async def test_foreign_pages_are_kept_out_of_everything(admin: TestClient) -> None:
    """A rebound name and another site's page, even of what needs no token."""
    for path in ("/healthz", *PAGES):
        for foreign in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = await admin.get(path, headers={**TOKEN, **foreign})

            assert (403, "application/problem+json") == (answer.status, answer.content_type)


async def test_errors_are_problems(admin: TestClient) -> None:
    """No such page, no such method."""
    lost = await admin.get("/nothing", headers=TOKEN)
    wrong = await admin.post("/metrics", headers=TOKEN)

    assert (404, 404) == (lost.status, (await lost.json(content_type=None))["status"])
    assert (405, "GET,HEAD") == (wrong.status, wrong.headers["Allow"])
    assert (
        "urn:quota-proxy:problem:method-not-allowed"
        == (await wrong.json(content_type=None))["type"]
    )


async def test_metrics_are_prometheus_text(admin: TestClient) -> None:
    """With the content type that scrapers want."""
    answer = await admin.get("/metrics", headers=TOKEN)

    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["Content-Type"]
    assert "quota_proxy_build_info" in await answer.text()


async def test_a_store_that_is_down_stops_no_page(admin: TestClient, house: WrittenHouse) -> None:
    """Figures are what is known without it."""
    house.store = WrittenStore(up=False)

    for path in ("/metrics", "/api/v1/stats", "/api/v1/quota"):
        assert 200 == (await admin.get(path, headers=TOKEN)).status


async def test_what_was_used_before_we_came_is_set(admin: TestClient, house: WrittenHouse) -> None:
    """PUT sets a count and says how it stands then."""
    house.ledger.levels = (level(MONTH, 1.0, 86400.0),)
    path = "/api/v1/quota/coingecko/month"
    answer = await admin.put(path, headers=TOKEN, data=b'{"used": 7421}')
    said = await answer.json()

    assert (200, "coingecko", "month") == (answer.status, said["upstream"], said["bucket"])
    assert (7421.0, 2579.0) == (said["used"], said["remaining"])
    assert 7421.0 == house.ledger.levels[0].used


@pytest.mark.parametrize(
    ("path", "there_are"),
    [("coingecko/year", "month"), ("gecko/month", "coingecko"), ("coingecko/a/b", "month")],
)
async def test_an_unknown_limit_names_what_there_is(
    admin: TestClient, house: WrittenHouse, path: str, there_are: str
) -> None:
    """404, and no mark of a client's key among the names."""
    house.ledger.levels = (level(MONTH, 1.0, 9.0), level(MONTH, 1.0, 9.0, "month@ab12"))
    answer = await admin.put(f"/api/v1/quota/{path}", headers=TOKEN, data=b'{"used": 1}')
    said = await answer.json(content_type=None)

    assert (404, "application/problem+json") == (answer.status, answer.content_type)
    assert said["detail"].endswith(f"there are: {there_are}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"7421",
        b"{}",
        b'{"used": -1}',
        b'{"used": "x"}',
        b'{"used": 1e999}',
        b'{"used": NaN}',
        b'{"used": 1, "limit": 2}',
        b'{"used": "\xff"}',
    ],
)
async def test_what_is_no_count_is_422(admin: TestClient, house: WrittenHouse, body: bytes) -> None:
    """Nothing is set by what cannot be meant."""
    house.ledger.levels = (level(MONTH, 1.0, 86400.0),)
    answer = await admin.put("/api/v1/quota/coingecko/month", headers=TOKEN, data=body)

    assert (422, "application/problem+json") == (answer.status, answer.content_type)
    [error] = (said := await answer.json())["errors"]
    assert {"file": None, "line": None, "column": None, "path": "used"}.items() <= error.items()
    assert error["message"] == said["detail"]
    assert 1.0 == house.ledger.levels[0].used


async def test_counts_are_set_by_the_trusted_alone(admin: TestClient, house: WrittenHouse) -> None:
    """The token, and the page's own origin."""
    house.ledger.levels = (level(MONTH, 1.0, 86400.0),)
    path, body = "/api/v1/quota/coingecko/month", b'{"used": 7421}'
    foreign = {**TOKEN, "Origin": "http://evil.example"}

    assert 401 == (await admin.put(path, data=body)).status
    assert 403 == (await admin.put(path, data=body, headers=foreign)).status
    assert 1.0 == house.ledger.levels[0].used


async def test_a_lost_ledger_is_503(admin: TestClient, house: WrittenHouse) -> None:
    """Who set it must know that it was not set."""
    house.ledger.lost = True
    path = "/api/v1/quota/coingecko/month"

    assert 503 == (await admin.put(path, data=b'{"used": 1}', headers=TOKEN)).status
