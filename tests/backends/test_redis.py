"""Redis as a loop uses it, against real servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.backends.address import RedisOptions
from proxy.backends.errors import BackendLostError, BackendReplyError
from proxy.backends.pipe import packed
from proxy.backends.redis import Redis, Script
from tests.fixtures.redis import RedisCluster, RedisServer, SentinelTrio, patient

ECHO = Script("return {KEYS[1], ARGV[1]}")


@asynccontextmanager
async def connected(options: RedisOptions | str) -> AsyncIterator[Redis]:
    redis = Redis(patient(options) if isinstance(options, str) else options)
    await redis.open()
    try:
        yield redis
    finally:
        await redis.close()


class Changes:
    """What a watcher was told, and a way to await the next."""

    def __init__(self, redis: Redis) -> None:
        self.told: list[tuple[bool, str]] = []
        self._event = asyncio.Event()
        redis.on_change(self._note)

    def _note(self, up: bool, reason: str) -> None:  # noqa: FBT001 - the watcher's shape
        self.told.append((up, reason))
        self._event.set()

    async def until(self, *, up: bool) -> None:
        async with asyncio.timeout(60):
            while not self.told or self.told[-1][0] is not up:
                self._event.clear()
                await self._event.wait()


async def repeated(call: Callable[[], Awaitable[object]]) -> object:
    """Return what `call` gives once the backend is there again."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except BackendLostError:
                await asyncio.sleep(0.02)


async def test_commands_of_one_tick_travel_in_one_read_of_the_server(
    redis_server: RedisServer,
) -> None:
    """A hundred look-ups submitted together cost the server one read and one write."""
    async with connected(redis_server.url) as redis:
        await redis.execute("SET", "k", "v")
        with redis_server.client() as client:
            before = client.info("stats")["total_reads_processed"]
            got = await asyncio.gather(*(redis.execute("GET", "k") for _ in range(100)))
            after = client.info("stats")["total_reads_processed"]

    assert got == [b"v"] * 100
    assert after - before <= 5  # ours, that of the client that looks, a heartbeat or two


async def test_a_script_unknown_to_the_server_is_sent_whole_once(redis_server: RedisServer) -> None:
    """A server that forgot a script (restart, SCRIPT FLUSH) gets its text, then its digest does."""
    async with connected(redis_server.url) as redis:
        assert await redis.evalsha(ECHO, ["a"], ["b"]) == [b"a", b"b"]
        assert await redis.evalsha(ECHO, ["a"], [1]) == [b"a", b"1"]
        with redis_server.client() as client:
            assert client.info("commandstats")["cmdstat_eval"]["calls"] == 1


async def test_an_error_reply_keeps_its_code(redis_server: RedisServer) -> None:
    """What the server refuses is an error of this room with the server's code; others go on."""
    async with connected(redis_server.url) as redis:
        wrong, right = await asyncio.gather(
            redis.execute("NOSUCHCOMMAND"), redis.execute("PING"), return_exceptions=True
        )

    assert isinstance(wrong, BackendReplyError)
    assert wrong.code == "ERR"
    assert right == b"PONG"


async def test_nothing_is_sent_where_nobody_listens() -> None:
    """An unreachable server fails each call at once, and says that nothing was sent."""
    async with connected("redis://127.0.0.1:1") as redis:
        assert not redis.up
        assert redis.reason
        with pytest.raises(BackendLostError) as lost:
            await redis.execute("PING")
        assert not lost.value.sent


async def test_a_killed_server_is_told_lost_once_and_found_once(own_redis: RedisServer) -> None:
    """Killed and started again on its port: lost, found, and commands work again."""
    async with connected(own_redis.url) as redis:
        changes = Changes(redis)
        own_redis.kill()
        await changes.until(up=False)
        with pytest.raises(BackendLostError):
            await redis.execute("PING")
        own_redis.start()
        await changes.until(up=True)

        assert [up for up, _ in changes.told] == [False, True]
        assert await redis.execute("PING") == b"PONG"


async def test_a_server_that_hangs_fails_what_waits_within_the_deadline(
    own_redis: RedisServer,
) -> None:
    """A paused server: every command under way fails as lost; when it goes on it is found."""
    options = patient(own_redis.url, timeout=0.5)
    async with connected(options) as redis:
        changes = Changes(redis)
        own_redis.pause()
        try:
            results = await asyncio.gather(
                *(redis.execute("PING") for _ in range(5)), return_exceptions=True
            )
        finally:
            own_redis.resume()

        assert all(isinstance(result, BackendLostError) and result.sent for result in results)
        await changes.until(up=True)


async def test_a_restarted_server_that_forgot_all_is_served_again(own_redis: RedisServer) -> None:
    """Scripts are unknown to the new process: they are sent whole again."""
    async with connected(own_redis.url) as redis:
        await redis.evalsha(ECHO, ["a"], ["b"])
        own_redis.kill()
        own_redis.start()

        assert await repeated(lambda: redis.evalsha(ECHO, ["a"], ["b"])) == [b"a", b"b"]


async def test_a_caller_that_goes_away_takes_no_reply_of_another(redis_server: RedisServer) -> None:
    """A cancelled command's reply is dropped; the ones behind it get their own."""
    async with connected(redis_server.url) as redis:
        await redis.execute("SET", "k", "v")
        gone = asyncio.ensure_future(redis.execute("PING"))  # noqa: TID251 - it is cancelled here
        here = redis.execute("GET", "k")
        gone.cancel()

        assert await here == b"v"


async def test_large_values_open_further_connections_up_to_the_bound(
    redis_server: RedisServer,
) -> None:
    """Behind large values a second connection is opened, and never more than allowed."""
    async with connected(patient(redis_server.url, max_connections=2)) as redis:
        large = b"x" * 500_000
        for _ in range(3):
            await asyncio.gather(*(redis.execute("SET", f"k{n}", large) for n in range(8)))
        with redis_server.client() as client:
            connections = len(client.client_list())

    assert 2 <= connections <= 3  # the last is the client that looks


async def test_messages_reach_listeners_also_after_the_server_was_lost(
    own_redis: RedisServer,
) -> None:
    """A subscription is renewed on the server that was started again."""
    async with connected(own_redis.url) as redis:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        assert await redis.subscribe("news", heard.put_nowait)
        await redis.execute("PUBLISH", "news", "first")
        first = await heard.get()
        own_redis.kill()
        own_redis.start()

        async def told() -> None:
            if not await redis.execute("PUBLISH", "news", "second"):
                raise BackendLostError("nobody listens yet")

        await repeated(told)

        assert (first, await heard.get()) == (b"first", b"second")


async def test_two_channels_are_listened_to_on_one_connection(redis_server: RedisServer) -> None:
    """A channel added later is heard as well."""
    async with connected(redis_server.url) as redis:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        assert await redis.subscribe("one", heard.put_nowait)
        assert await redis.subscribe("two", heard.put_nowait)
        await redis.execute("PUBLISH", "two", "2")
        await redis.execute("PUBLISH", "one", "1")

        assert [await heard.get(), await heard.get()] == [b"2", b"1"]


async def test_tls_is_spoken_and_certificates_are_checked(redis_tls: RedisServer) -> None:
    """With the authority known it connects; without, it does not."""
    async with connected(patient(redis_tls.url, tls_ca=redis_tls.ca)) as redis:
        assert await redis.execute("PING") == b"PONG"
    async with connected(redis_tls.url) as redis:
        assert not redis.up
        assert "certificate" in redis.reason.lower()


async def test_a_password_is_taken_from_its_file(
    start_redis: Callable[..., RedisServer],
) -> None:
    """The first line of `password_file` authenticates; without it the server stays out of reach."""
    server = start_redis("--requirepass", "s3cret")
    file = server.folder / "password"
    file.write_text("s3cret\n")
    async with connected(patient(server.url, password_file=file)) as redis:
        assert await redis.execute("PING") == b"PONG"
    async with connected(server.url) as redis:
        assert not redis.up
        assert redis.reason.startswith("NOAUTH")


async def test_a_socket_file_is_an_address(start_redis: Callable[..., RedisServer]) -> None:
    """`unix://` with a database number reaches that database."""
    server = start_redis("--unixsocket", "redis.sock")
    async with connected(f"unix://{server.folder}/redis.sock?db=3") as redis:
        await redis.execute("SET", "k", "v")
    async with connected(f"{server.url}/3") as redis:
        assert await redis.execute("GET", "k") == b"v"


async def test_the_master_that_sentinels_name_is_followed(redis_sentinel: SentinelTrio) -> None:
    """The master dies, the Sentinels elect the replica, and commands go there."""
    async with connected(redis_sentinel.url) as redis:
        assert await redis.execute("SET", "k", "v") == b"OK"
        changes = Changes(redis)
        redis_sentinel.lose_master()
        await changes.until(up=False)
        await changes.until(up=True)
        await repeated(lambda: redis.execute("SET", "k", "new"))
        with redis_sentinel.replica.client() as client:
            assert client.get("k") == b"new"


async def test_keys_of_a_cluster_are_found_wherever_they_lie(redis_cluster: RedisCluster) -> None:
    """Commands go to the master of their key, scripts to that of their hash tag."""
    async with connected(redis_cluster.url) as redis:
        assert redis.up
        await asyncio.gather(*(redis.execute("SET", f"k{n}", n) for n in range(50)))
        got = await asyncio.gather(*(redis.execute("GET", f"k{n}") for n in range(50)))
        told = await asyncio.gather(*(redis.evalsha(ECHO, [f"{{u{n}}}:a"], [n]) for n in range(9)))
        sizes = await redis.each_server("DBSIZE")

    assert got == [b"%d" % n for n in range(50)]
    assert told == [[b"{u%d}:a" % n, b"%d" % n] for n in range(9)]
    assert sum(sizes) == 50
    assert min(sizes) > 0


async def test_a_moved_slot_is_followed(redis_cluster: RedisCluster) -> None:
    """MOVED is obeyed at once and not repeated: the new owner is learnt."""
    first, second, third = redis_cluster.nodes
    async with connected(redis_cluster.url) as redis:
        await redis.execute("GET", "{b}")  # slot 3300, the first node's
        redis_cluster.move(3300, first, third)
        try:
            assert await redis.execute("SET", "{b}k", "v") == b"OK"
            with third.client() as client:
                assert client.execute_command("GET", "{b}k") == b"v"
                client.execute_command("DEL", "{b}k")
        finally:
            redis_cluster.move(3300, third, first)
    assert second.pid


async def test_nodes_that_name_each_other_are_waited_for(redis_cluster: RedisCluster) -> None:
    """While gossip is under way two nodes may each hold the other for the owner of a slot."""
    first, _, third = redis_cluster.nodes
    async with connected(redis_cluster.url) as redis:
        with first.client() as giving, third.client() as taking:
            taken = taking.execute_command("CLUSTER", "MYID")
            giving.execute_command("CONFIG", "RESETSTAT")
            giving.execute_command("CLUSTER", "SETSLOT", 3300, "NODE", taken)
            try:
                asking = asyncio.ensure_future(redis.execute("SET", "{b}k", "v"))  # noqa: TID251 - awaited below
                while not asking.done() and _refused(giving.info("errorstats")) < 2:  # noqa: ASYNC110 - no event tells it
                    await asyncio.sleep(0)
                assert not asking.done()
                given = giving.execute_command("CLUSTER", "MYID")
                taking.execute_command("CLUSTER", "SETSLOT", 3300, "IMPORTING", given)
                taking.execute_command("CLUSTER", "SETSLOT", 3300, "NODE", taken)
                assert await asking == b"OK"
                taking.execute_command("DEL", "{b}k")
            finally:
                redis_cluster.move(3300, third, first)


def _refused(told: object) -> int:
    """Return how many commands a node sent elsewhere."""
    assert isinstance(told, dict)
    return int(told.get("errorstat_MOVED", {}).get("count", 0))


async def test_messages_cross_a_cluster(redis_cluster: RedisCluster) -> None:
    """What is published on one node is heard by who listens on another."""
    async with connected(redis_cluster.url) as redis:
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        assert await redis.subscribe("news", heard.put_nowait)
        for node in redis_cluster.nodes:
            with node.client() as client:
                client.publish("news", "told")

        assert [await heard.get() for _ in redis_cluster.nodes] == [b"told"] * 3


async def test_ping_measures_a_round_trip(redis_server: RedisServer) -> None:
    """The latency of a server that answers is a positive time."""
    async with connected(redis_server.url) as redis:
        assert await redis.ping() > 0.0


async def test_what_is_shown_of_it_holds_no_password() -> None:
    """Neither its text nor its options repeat the URL's password."""
    options = RedisOptions("redis://user:s3cret@127.0.0.1:1/0")
    async with connected(options) as redis:
        assert "s3cret" not in f"{redis} {redis.reason} {options!r}"


def test_a_packed_call_is_the_same_as_hiredis_packs_it() -> None:
    """By digest, and with its text in place of that."""
    call = ECHO.template(1, b"5%d", b"\r\n") % (4, b"k\xc3\xa9y", 0, b"")

    assert call == packed(("EVALSHA", ECHO.digest, 1, "kéy", b"", b"5%d", b"\r\n"))
    assert ECHO.whole(call) == packed(("EVAL", ECHO.text, 1, "kéy", b"", b"5%d", b"\r\n"))


async def test_what_nobody_waits_for_is_done(redis_server: RedisServer) -> None:
    """A script that is only begun runs, known to the server or not, and is heard by a callback."""
    async with connected(redis_server.url) as redis:
        for word in (b"a", b"b"):
            heard = asyncio.get_running_loop().create_future()
            call = ECHO.template(0, word) % (1, b"k")
            redis.tell(ECHO, b"k", call, lambda *told, heard=heard: heard.set_result(told))

            assert ([b"k", word], None) == await asyncio.wait_for(heard, 10)


async def test_what_was_begun_is_done_before_the_end(redis_server: RedisServer) -> None:
    """Closing waits for the reply of what nobody waits for."""
    heard: list[object] = []
    async with connected(redis_server.url) as redis:
        call = ECHO.template(1) % (1, b"k", 1, b"a")
        redis.tell(ECHO, b"k", call, lambda reply, _error: heard.append(reply))

    assert heard == [[b"k", b"a"]]
