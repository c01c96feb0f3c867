"""The sandbox from outside, under `/_sandbox/` on the common port. Everything is JSON.

GET    /_sandbox/                      counts of all providers, and what they used
GET    /_sandbox/P                     the same of one, and `arrivals` (Unix times)
GET    /_sandbox/P/received            the last requests, as they came (body: latin-1)
POST   /_sandbox/reset                 forget counts, spends and bans
POST   /_sandbox/P/reset               those of one provider
PUT    /_sandbox/P/faults              [{"kind": "drop", "times": 1, "path": "/api"}]
PUT    /_sandbox/P/limits              [{"name": "minute", "limit": 30, "per": 60, …}]
PUT    /_sandbox/P/latency             {"mean": 0.2, "jitter": 0.1, "transit": 0, …}
PUT    /_sandbox/market                {"frozen_at": 1700000000 or null}

A PUT replaces what was set before.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from proxy.sandbox.counts import Received
from proxy.sandbox.faults import Fault, Latency
from proxy.sandbox.limits import Limit

if TYPE_CHECKING:
    from proxy.sandbox.sandbox import Sandbox

CONTROL = "_sandbox"


async def controlled(sandbox: "Sandbox", request: web.BaseRequest, path: str) -> web.StreamResponse:
    """Answer a control request; `path` is what follows `/_sandbox/`."""
    parts = path.partition("?")[0].strip("/").split("/")
    body = await request.read()
    try:
        shown = _done(sandbox, request.method, parts, msgspec.json.decode(body) if body else None)
    except (TypeError, ValueError, AttributeError) as error:
        return _json({"error": str(error)}, 400)
    except LookupError:
        return _json({"providers": list(sandbox.services)}, 404)
    return _json(shown)


def _done(sandbox: "Sandbox", method: str, parts: list[str], value: Any) -> Any:
    match method, parts:
        case "GET", [""]:
            return {name: _shown(sandbox, name) for name in sandbox.services}
        case "GET", [name]:
            return {**_shown(sandbox, name), "arrivals": sandbox.counts(name).arrivals}
        case "GET", [name, "received"]:
            return [_readable(each) for each in sandbox.received(name)]
        case _:
            return _set(sandbox, method, parts, value)


def _set(sandbox: "Sandbox", method: str, parts: list[str], value: Any) -> None:
    match method, parts:
        case "POST", ["reset"]:
            sandbox.reset()
        case "POST", [name, "reset"]:
            sandbox.reset(name)
        case "PUT", ["market"]:
            if set(value) != {"frozen_at"}:
                raise ValueError('the market takes {"frozen_at": …}')
            sandbox.freeze(value["frozen_at"])
        case "PUT", [name, "faults"]:
            sandbox.services[name].faults[:] = [Fault(**each) for each in value]
        case "PUT", [name, "limits"]:
            sandbox.set_limits(name, [Limit(**each) for each in value])
        case "PUT", [name, "latency"]:
            sandbox.set_latency(name, Latency(**value))
        case _:
            raise LookupError


def _shown(sandbox: "Sandbox", name: str) -> dict[str, Any]:
    return {**sandbox.counts(name).shown(), "used": sandbox.used(name)}


def _readable(received: Received) -> dict[str, Any]:
    return {**asdict(received), "body": received.body.decode("latin-1")}


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value), status=status, content_type="application/json"
    )
