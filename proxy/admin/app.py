"""The admin listener's application. Nothing of it is reachable on the traffic side."""

import math
from typing import Any, assert_never

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from proxy.admin import health
from proxy.admin.doors import OPEN_PATHS, Doors, Refused
from proxy.admin.health import Health
from proxy.admin.house import House
from proxy.admin.quota import Unknown, quota, set_used, shown
from proxy.admin.stats import stats
from proxy.backends.errors import BackendError
from proxy.core.spending import Level

_GUARDED = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Used(msgspec.Struct, forbid_unknown_fields=True):
    """What `PUT /api/v1/quota/{upstream}/{limit}` takes."""

    used: float


def make_admin(house: House, doors: Doors) -> web.Application:
    """Return the application; run it with an `AppRunner`."""
    app = web.Application(middlewares=[_errors, _guard(doors)])

    async def ready(request: web.Request) -> web.Response:
        return _state(await health.ready(house, trusted=doors.trusted(request.headers)))

    async def alive(_: web.Request) -> web.Response:
        return _state(health.alive())

    async def store(_: web.Request) -> web.Response:
        return _state(await health.store(house))

    async def exposition(_: web.Request) -> web.Response:
        from proxy.admin.metrics import CONTENT_TYPE, metrics  # noqa: PLC0415 - slow to import

        return web.Response(body=await metrics(house), headers={"Content-Type": CONTENT_TYPE})

    async def statistics(_: web.Request) -> web.Response:
        return _json(await stats(house))

    async def quotas(_: web.Request) -> web.Response:
        return _json(await quota(house))

    async def used(request: web.Request) -> web.Response:
        return await _set_used(house, request)

    app.add_routes(
        [
            web.get("/healthz", alive),
            web.get("/readyz", ready),
            web.get("/health/redis", store),
            web.get("/metrics", exposition),
            web.get("/api/v1/stats", statistics),
            web.get("/api/v1/quota", quotas),
            web.put("/api/v1/quota/{upstream}/{limit:.+}", used),
        ]
    )
    return app


async def _set_used(house: House, request: web.Request) -> web.Response:
    try:
        used = _used(await request.read())
    except ValueError as error:
        return _unprocessable(str(error))
    upstream, limit = request.match_info["upstream"], request.match_info["limit"]
    try:
        result = await set_used(house, upstream, limit, used)
    except BackendError:
        return _problem(
            Refused(503, "Ledger lost", "The counts cannot be reached: nothing was set")
        )
    match result:
        case Level():
            return _json({"upstream": upstream, "bucket": limit, **shown(result, house.wall())})
        case Unknown(what, there_are):
            there = ", ".join(there_are) or "none"
            return _problem(Refused(404, "Not found", f"{what}; there are: {there}"))
        case _:
            assert_never(result)


def _used(body: bytes) -> float:
    """Return the figure in a body.

    Raises:
        ValueError: there is none, or it is no count.

    """
    try:
        used = msgspec.json.decode(body, type=_Used).used
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f'The body is not {{"used": NUMBER}}: {error}') from None
    if not (math.isfinite(used) and used >= 0):
        raise ValueError(f"used: {used} is not a count: a number from 0")
    return used


def _guard(doors: Doors) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refused = doors.foreign(request.headers, _local(request))
        if refused is not None:
            return _problem(refused)
        if request.path not in OPEN_PATHS and not doors.trusted(request.headers):
            said = _problem(Refused(401, "Unauthorized", "The admin token is asked for"))
            said.headers["WWW-Authenticate"] = 'Bearer realm="quota-proxy"'
            return said
        response = await handler(request)
        response.headers.update(_GUARDED)
        return response

    return guard


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn aiohttp's own errors (no such page, no such method) into problem details."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        said = _problem(Refused(error.status, error.reason, f"{request.method} {request.path}"))
        if "Allow" in error.headers:
            said.headers["Allow"] = error.headers["Allow"]
        return said


def _local(request: web.Request) -> str:
    """Return the address that the connection was made to; empty where there is none."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return str(name[0]) if isinstance(name, tuple) else ""


def _state(state: Health) -> web.Response:
    return _json(state.state, 200 if state.good else 503)


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )


def _unprocessable(message: str) -> web.Response:
    """Answer 422; the errors are as those of `check`, but of a body that has no file nor lines."""
    place = {"file": None, "line": None, "column": None, "path": "used"}
    refused = Refused(422, "Unprocessable content", message)
    return _problem(refused, errors=[{**place, "message": message}])


def _problem(refused: Refused, **more: Any) -> web.Response:
    kind = refused.title.lower().replace(" ", "-")
    members = {
        "type": f"urn:quota-proxy:problem:{kind}",
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
        **more,
    }
    body = msgspec.json.encode(members)
    return web.Response(
        body=body, status=refused.status, content_type="application/problem+json", headers=_GUARDED
    )
