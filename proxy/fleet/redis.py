"""A fleet on one Redis: whoever takes a key's lease leads, and its landing wakes who follows.

Rules
- A lease is a hash with an end: `led` (the leader's token) and a field for each follower's channel.
  All that is done to it is done by scripts, so every step is atomic. The leader renews it while it
  flies. A leader that dies leaves it to end: within `LEASE` the first who asks then leads.
- Each process listens on one channel of its own, whatever it waits for, and the landing is told to
  those alone who follow. A message is a hint: one that is missed costs no more than the lease.
- A landing that stored something is remembered for `REMEMBERED`, for those who looked into the
  store before it and ask only now.
- Fencing is the store's: an entry never takes the place of one that was received later, so a leader
  that comes late overwrites nothing newer (`proxy.store.redis`).
- Redis lost: everybody leads. That saves no call, and the ledger still counts.

The interleaving that `lead` defends against by listening before it asks:
    1. B asks, and the script writes it down as a follower of A;
    2. A lands, and B is told, on another connection than the one it asked on;
    3. the answer to 1 comes: B would begin to listen only now, and hear nothing until the lease
       would have ended.

The interleaving that `REMEMBERED` and `known` defend against:
    1. B looks into the store: nothing there;
    2. A, which leads, stores, lands, and gives its lease up;
    3. B asks, is the first, leads, and fetches again what is in the store already.
    So B is told of the landing instead, unless it knows of it: its stamp is B's own entry's.

The interleaving that `inherited` defends against:
    1. A stores and dies before it tells of its landing;
    2. the lease ends, B takes it, and fetches again what is in the store already.
    So whoever leads after another without having heard of a landing is told to look first.

The interleaving that giving up what was asked for defends against:
    1. B asks for the lead;
    2. its last client goes, so B is cancelled;
    3. the script gives B the lead, which nobody would use, and all others wait for it to end.
    So who is cancelled while it asks gives up what it may have got.
"""

import asyncio
import math
import secrets
from collections.abc import Awaitable
from itertools import count as counter
from typing import Any, Final

import structlog

from proxy.backends.errors import BackendError, BackendReplyError
from proxy.backends.redis import Redis, Script
from proxy.core.landings import NONE, Ending, Landed
from proxy.tasks import Tasks

LEASE: Final = 2.0
"""Seconds after which a leader that does not renew its lease has lost it."""
RENEWALS: Final = 4
"""How many times a lease is renewed in its own length: so many may be late."""
REMEMBERED: Final = 5.0
"""Seconds for which a landing is told to those who ask after it."""

_NONE: Final = NONE.hex().encode()

_log = structlog.get_logger("fleet")

_ASK: Final = Script(
    """
    local led, landed = unpack(redis.call('HMGET', KEYS[1], 'led', 'landed'))
    if led then
        redis.call('HSET', KEYS[1], '>' .. ARGV[4], '')
        return {'follow', redis.call('PTTL', KEYS[1])}
    end
    if landed and landed ~= ARGV[2] then
        return {'landed', landed}
    end
    redis.call('DEL', KEYS[1])
    redis.call('HSET', KEYS[1], 'led', ARGV[1])
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    return {'lead'}
    """
)
_RENEW: Final = Script(
    """
    if redis.call('HGET', KEYS[1], 'led') ~= ARGV[1] then
        return 0
    end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])
    """
)
# PUBLISH may be forbidden to us by an ACL: then who follows learns of it when the lease ends.
_LAND: Final = Script(
    """
    if redis.call('HGET', KEYS[1], 'led') ~= ARGV[1] then
        return 0
    end
    local fields = redis.call('HKEYS', KEYS[1])
    redis.call('DEL', KEYS[1])
    if ARGV[4] ~= '0' then
        redis.call('HSET', KEYS[1], 'landed', ARGV[2])
        redis.call('PEXPIRE', KEYS[1], ARGV[4])
    end
    local message = ARGV[3] .. ' ' .. ARGV[2] .. ' ' .. string.sub(KEYS[1], ARGV[5] + 1)
    for _, field in ipairs(fields) do
        if string.sub(field, 1, 1) == '>' then
            redis.pcall('PUBLISH', string.sub(field, 2), message)
        end
    end
    return 1
    """
)


class RedisLead:
    """The lead of one flight, renewed until it is told how the flight ended."""

    __slots__ = ("_fleet", "inherited", "key", "renewing", "token")

    def __init__(self, fleet: "RedisFleet", key: str, token: str, *, inherited: bool) -> None:
        """Take the fleet, the flight's key, and what proves that the lead is ours."""
        self.inherited = inherited
        self.key = key
        self.token = token
        self.renewing = False
        self._fleet = fleet

    def land(self, ending: Ending, stamp: float = NONE) -> "asyncio.Future[None]":
        """Tell all who follow how the flight ended, and give up the lead."""
        return self._fleet.land(self.key, self.token, ending, stamp)


class RedisFleet:
    """One process in the fleet. The connection is the caller's: opened before, closed after."""

    def __init__(self, redis: Redis, *, namespace: str, lease: float = LEASE) -> None:
        """Take the connection, what every key begins with, and a lease's length in seconds."""
        self.lease = lease
        self.tasks = Tasks(_stumbled)
        self._redis = redis
        self._prefix = f"{namespace}:@lead:"
        self._name = secrets.token_hex(8)
        self._channel = f"{namespace}:@landings:{self._name}"
        self._numbers = counter(1)
        self._ask = _ASK.template(2, b"%d" % _milliseconds(lease), self._channel.encode())
        self._land = {
            ending: _LAND.template(
                2,
                ending.value.encode(),
                b"%d" % _milliseconds(REMEMBERED if ending is Ending.STORED else 0.0),
                b"%d" % len(self._prefix.encode()),
            )
            for ending in Ending
        }
        """The calls that tell of each kind of landing."""
        self._leads: dict[str, RedisLead] = {}
        """Those that are renewed, by their tokens."""
        self._following: dict[str, set[asyncio.Future[Landed]]] = {}
        self._refused = ""

    async def open(self) -> None:
        """Listen; where Redis is not to be had now, as soon as it is."""
        self.tasks.start(self._renew_all(), "renew leads")
        listening = self.tasks.start(self._listen(), "listen for landings")
        if self._redis.up:
            await asyncio.wait((listening,))

    async def close(self) -> None:
        """Renew nothing more."""
        await self.tasks.close()

    async def lead(
        self, key: str, known: float, until: float = math.inf
    ) -> RedisLead | Landed | None:
        """Return the lead of a key's flight, or how another's ended, once it has.

        `known`: stamp of the newest entry that the caller has. None: there is nobody to tell.

        Raises:
            TimeoutError: another's flight has not ended at `until` (time of the loop).

        """
        inherited = False
        while True:
            heard = self._hear(key)
            token = f"{self._name}-{next(self._numbers):x}"
            try:
                try:
                    said = await self._asked(key, token, known)
                except asyncio.CancelledError:  # it may have been given what nobody wants any more
                    self.land(key, token, Ending.FAILED, NONE)
                    raise
                if said[0] == b"lead":
                    lead = self._leads[token] = RedisLead(self, key, token, inherited=inherited)
                    return lead
                left = _understood(said, inherited=inherited)
                if isinstance(left, Landed):
                    return left
                landed = await _within(heard, min(left, self.lease), until)
                if landed is not None:
                    return landed
            except BackendError as error:
                self._note(error)
                return None
            finally:
                self._heard_enough(key, heard)
            inherited = True

    def _asked(self, key: str, token: str, known: float) -> Awaitable[Any]:
        """Ask for the lead."""
        name, own, stamp = (self._prefix + key).encode(), token.encode(), _stamped(known)
        call = self._ask % (len(name), name, len(own), own, len(stamp), stamp)
        return self._redis.run(_ASK, name, call)

    def land(
        self, key: str, token: str, ending: Ending, stamp: float = NONE
    ) -> "asyncio.Future[None]":
        """Tell who follows, and give up the lease, if it is ours still; said once it is told."""
        self._leads.pop(token, None)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        name, own, at = (self._prefix + key).encode(), token.encode(), _stamped(stamp)
        call = self._land[ending] % (len(name), name, len(own), own, len(at), at)

        def heard(_reply: object, error: BackendError | None) -> None:
            if error is not None:
                self._note(error)  # the lease ends by itself
            if not told.done():
                told.set_result(None)

        try:
            self._redis.tell(_LAND, name, call, heard)
        except BackendError as error:
            heard(None, error)
        return told

    # ── Leases ──

    async def _renew_all(self) -> None:
        """Renew every lease in time, as long as its flight flies."""
        while True:
            await asyncio.sleep(self.lease / RENEWALS)
            for lead in self._leads.values():
                if not lead.renewing:
                    self.tasks.start(self._renew(lead), f"renew {lead.key}")

    async def _renew(self, lead: RedisLead) -> None:
        """Renew a lease, unless it is another's; what cannot be told now may be told later."""
        lead.renewing = True
        arguments = (lead.token, _milliseconds(self.lease))
        try:
            if not await self._redis.evalsha(_RENEW, (self._prefix + lead.key,), arguments):
                self._leads.pop(lead.token, None)
        except BackendError as error:
            self._note(error)
        finally:
            lead.renewing = False

    # ── Who follows ──

    async def _listen(self) -> None:
        await self._redis.subscribe(self._channel, self._told)

    def _hear(self, key: str) -> "asyncio.Future[Landed]":
        heard: asyncio.Future[Landed] = asyncio.get_running_loop().create_future()
        following = self._following.get(key)
        if following is None:
            self._following[key] = {heard}
        else:
            following.add(heard)
        return heard

    def _heard_enough(self, key: str, heard: "asyncio.Future[Landed]") -> None:
        following = self._following[key]
        following.discard(heard)
        if not following:
            del self._following[key]

    def _told(self, message: bytes) -> None:
        """Wake who follows (called by the subscription)."""
        ending, stamp, key = message.split(b" ", 2)
        landed = Landed(Ending(ending.decode()), _stamp(stamp))
        for heard in self._following.get(key.decode(), ()):
            if not heard.done():
                heard.set_result(landed)

    def _note(self, error: BackendError) -> None:
        """Say why the fleet cannot be asked, once; that Redis is lost is told elsewhere."""
        if isinstance(error, BackendReplyError) and self._refused != error.code:
            self._refused = error.code
            _log.warning("fleet_refused", reason=str(error))


def _understood(said: list[Any], *, inherited: bool) -> Landed | float:
    """Return the landing that the script tells of, or for how many seconds another has the lead."""
    match said:
        case [b"landed", stamp]:
            return Landed(Ending.STORED, _stamp(stamp), awaited=inherited)
        case [b"follow", left]:
            return max(1, int(left)) / 1000
    raise TypeError(f"the script does not say {said!r}")


async def _within(heard: "asyncio.Future[Landed]", seconds: float, until: float) -> Landed | None:
    """Return what is heard; None where nothing is for so long.

    Raises:
        TimeoutError: nothing was at `until`.

    """
    time = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(min(seconds, max(0.0, until - time()))):
            return await heard
    except TimeoutError:
        if time() >= until:
            raise
        return None


def _stamped(stamp: float) -> bytes:
    """Return a stamp as it is told: exact, as scripts compare it, and without its digits' cost."""
    return stamp.hex().encode() if stamp != NONE else _NONE


def _stamp(told: bytes) -> float:
    return float.fromhex(told.decode())


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _stumbled(task: str, error: BaseException) -> None:
    _log.error("fleet_task_failed", task=task, error=repr(error))
