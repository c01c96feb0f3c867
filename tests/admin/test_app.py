"""The admin listener, over a socket."""

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.admin.app import make_admin
from proxy.admin.doors import Doors
from tests.admin.house import WrittenHouse, WrittenStore

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
