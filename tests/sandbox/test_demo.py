"""The demo: its table, and all of it together."""

import io
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientSession, web

from proxy.sandbox.demo import KEYS, SEVEN, Row, Screen, line, run_demo, table
from proxy.sandbox.swarm import Tally

ROW = Row("binance", Tally(10, 9, Counter(HIT=8, MISS=2), 0.5), seen=2, refused=1)
ALL = Row("all", Tally(10, 9, Counter(HIT=8, MISS=2), 0.5), seen=2, refused=1)


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_what_is_saved_is_answered_without_the_provider() -> None:
    """In calls, and in percent of what was asked; what was refused is not saved."""
    refused = Tally(10, 4, Counter(HIT=4, MISS=2, REFUSED=3, FAILED=1))

    assert (ROW.saved, ROW.share) == (8, 80.0)
    assert Row("x", refused, seen=2, refused=0).saved == 4
    assert Row("x", Tally(), 0, 0).share == 0.0


def test_the_table_shows_the_verdicts_that_occurred() -> None:
    """And no others."""
    text = table([ROW, ALL], 12.0)

    head, first, *_ = text.splitlines()
    assert "HIT" in head
    assert "RESCUED" not in head
    assert first.split() == ["binance", "10", "9", "8", "2", "2", "1", "8", "80.0"]
    assert "after 12 s; a bot waited 50 ms" in text


def test_one_line_says_it_where_there_is_no_terminal() -> None:
    """Ready for a log."""
    assert line(ALL, 5.0) == (
        "5 s: asked=10 provider_saw=2 refused=1 saved=8 (80.0 %) HIT=8 MISS=2"
    )


def test_a_terminal_is_drawn_over_and_a_file_is_not() -> None:
    """The cursor goes up by the height of the last table; a message stands above the next."""
    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        screen = Screen(out)
        screen.draw([ROW, ALL], 1.0)
        screen.draw([ROW, ALL], 2.0)
        screen.say("oh")
        screen.end([ROW, ALL], 3.0)

    assert terminal.getvalue().count("\x1b[4F\x1b[J") == 1
    assert "\x1b" not in file.getvalue()
    assert file.getvalue().count("asked=10") == 2
    assert file.getvalue().count("bots asked") == 1


async def test_it_runs_sandbox_proxy_and_swarm_together() -> None:
    """The proxy is started with every variable it needs, asked, and stopped again."""
    given: dict[str, str] = {}
    running: list[str] = []

    @asynccontextmanager
    async def start(environment: Mapping[str, str]) -> AsyncIterator[str]:
        given.update(environment)
        bases = {name: environment[_variable(name)] for name in SEVEN}
        async with _passing(bases) as address:
            running.append(address)
            yield address
        running.clear()

    out = io.StringIO()
    rows = await run_demo(start, seconds=3.0, bots=20, pause=0.05, out=out)

    assert set(KEYS) < set(given)
    assert running == []
    assert rows[-1].provider == "all"
    assert 0 < rows[-1].seen <= rows[-1].tally.asked
    assert rows[-1].tally.verdicts["MISS"] > 0
    assert "provider saw" in out.getvalue()


def _variable(name: str) -> str:
    return f"{name.upper().replace('-', '_')}_BASE_URL"


@asynccontextmanager
async def _passing(bases: Mapping[str, str]) -> AsyncIterator[str]:
    """Stand in for the proxy: pass everything on, and call it a miss."""
    async with ClientSession() as session:

        async def handler(request: web.BaseRequest) -> web.StreamResponse:
            name, _, rest = request.raw_path.lstrip("/").partition("/")
            async with session.get(f"{bases[name]}/{rest}") as response:
                body = await response.read()
            return web.Response(body=body, status=response.status, headers={"X-Cache": "MISS"})

        runner = web.ServerRunner(web.Server(handler), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
