"""A house over a provider of lists and members, for what shares calls."""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from proxy.core.model import Failed
from proxy.core.shapes import Batch, ListForm, Order
from proxy.core.tables import ByValue
from proxy.core.upstreams import Cost
from proxy.ports import Exchange, Outbound
from tests.house import JSON, House, OpenLedger, Response, endpoint, upstream
from tests.values import replace

PRICES = Batch("ids", most=4, order=Order.SORTED)
MARKETS = Batch("ids", field=("id",), most=4)
TICKERS = Batch("symbols", form=ListForm.JSON, single="symbol", field=("symbol",), most=4)
EVERYTHING = Batch("", single="symbol", field=("symbol",), all=True)
WEIGHED = replace(TICKERS, all=True)
WEIGHT = Cost(ByValue("symbols", (), 4.0, ByValue("symbol", (), 2.0, 4.0)))
BAD = Response(400, (b'{"code":-1121,"msg":"Invalid symbol."}',), JSON)


class Provider:
    """Answers lists and members; knows no BAD symbol."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.sent: list[Outbound] = []
        self.asked: list[list[str]] = []
        self.gate: asyncio.Event | None = None
        self.leaves_out: set[str] = set()
        self.named: Callable[[list[str]], list[str]] = list
        """How what was asked for is named in a reply, and in which order."""
        self.everything = ["A", "B", "C"]
        self.next: deque[Response | Failed] = deque()

    async def send(self, outbound: Outbound) -> Exchange | Failed:
        answer = await self.answer(outbound)
        if isinstance(answer, Failed):
            return answer
        return replace(answer, requested_at=self.now(), received_at=self.now())

    async def answer(self, outbound: Outbound) -> Response | Failed:
        self.sent.append(outbound)
        parts = urlsplit(outbound.target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if "ids" in query:
            names = query["ids"].split(",")
        elif "symbols" in query:
            names = json.loads(query["symbols"])
        else:
            names = [query["symbol"]] if "symbol" in query else self.everything
        self.asked.append(names)
        if self.gate is not None:
            await self.gate.wait()
        if self.next:
            return self.next.popleft()
        if "BAD" in names:
            return BAD
        known = self.named([name for name in names if name not in self.leaves_out])
        if "/markets" in parts.path:
            ranked = [f'{{"id":"{name}","price":1.50}}' for name in known]
            return Response(parts=(f"[{','.join(ranked)}]".encode(),))
        if "ids" in query:
            rows = ",".join(f'"{name}":{{"usd":1.50}}' for name in sorted(known))
            return Response(parts=(f"{{{rows}}}".encode(),))
        rows = [f'{{"symbol":"{name}","price":"1.50"}}' for name in known]
        body = rows[0] if "symbol" in query else f"[{','.join(rows)}]"
        return Response(parts=(body.encode(),))


class Shop(House):
    """A house over that provider."""

    def __init__(self, ledger: OpenLedger | None = None) -> None:
        super().__init__(
            upstream(
                endpoint("price", "/price", batch=PRICES, stale_if_error=600.0),
                endpoint("markets", "/markets", batch=MARKETS),
                endpoint("ticker", "/ticker", batch=TICKERS, negative=((400, 30.0),)),
                endpoint("book", "/book", batch=EVERYTHING),
                endpoint("weighed", "/weighed", batch=WEIGHED, cost=WEIGHT),
            ),
            ledger=ledger,
        )
        self.shop = Provider(lambda: self.clock)
        self.provider.send = self.shop.send  # type: ignore[method-assign]  # the script's place


def prices(*names: str) -> str:
    """Return the target of a list by commas."""
    return f"/coingecko/price?ids={','.join(names)}"


def tickers(*names: str) -> str:
    """Return the target of a list in JSON."""
    return f"/coingecko/ticker?symbols={json.dumps(names, separators=(',', ':'))}"
