"""How questions and answers travel to the Lua script and back; see `script/batch.lua`."""

from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias, assert_never

import msgspec

from proxy.backends.errors import BackendCorruptError
from proxy.backends.redis import Script
from proxy.core.counts import Count, Moment
from proxy.core.limits import Account, Booked, Decision, Head, Held, Short
from proxy.core.rules import Rule
from proxy.ledger.questions import Adjust, Look, Part, Prune, Question, Settle, Spend, Tell

PARTS: Final = (
    "rules", "tallies", "counts", "windows", "buckets", "reports", "offsets", "holds", "limits",
    "spenders", "batch",
)  # fmt: skip
"""What the script is made of, in the order in which each needs those before it."""

SCRIPT = Script(
    "\n".join(
        Path(__file__).with_name("script").joinpath(f"{part}.lua").read_text(encoding="utf-8")
        for part in PARTS
    )
)

_encode = msgspec.msgpack.Encoder().encode


class _Undecided(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The question was not one that is decided."""


_Decisions: TypeAlias = list[Booked | Held | Short | _Undecided]
_read_decisions = msgspec.msgpack.Decoder(tuple[float, float, _Decisions]).decode
_read_any = msgspec.msgpack.Decoder().decode
read_head = msgspec.msgpack.Decoder(Head).decode
read_count = msgspec.msgpack.Decoder(Count).decode


def version(head: bytes) -> int:
    """Return the version of a packed head; one that cannot be read is newer than any."""
    try:
        return int(_read_any(head)[0])
    except (msgspec.DecodeError, TypeError, ValueError, IndexError):
        return 2**31


class Caller(NamedTuple):
    """Who asks, and what it knows."""

    spender: str = ""
    latest: float | None = None
    """What the ledger's time can be at most."""
    known: tuple[str, int] | None = None
    """Epoch and revision of the ledger as last seen: it must not know less."""
    epoch: str = ""
    """Names the ledger's life, if it is just beginning one."""


def request(questions: list[Question], rules: dict[str, Rule], caller: Caller) -> bytes:
    """Pack questions about one upstream."""
    packed = [_packed(each) for each in questions]
    ruled = tuple(rules.items())
    return _encode((caller.latest, caller.epoch, ruled, packed, caller.spender, caller.known))


def _packed(question: Question) -> tuple[Any, ...]:
    match question:
        case Spend(order=order):
            return (0, order)
        case Settle(ending=ending):
            return (1, ending)
        case Adjust(adjustment=adjustment):
            return (2, adjustment)
        case Look():
            return (3,)
        case Tell() | Part() | Prune():
            return _packed_rarer(question)
        case _:
            assert_never(question)


def _packed_rarer(question: Tell | Part | Prune) -> tuple[Any, ...]:
    match question:
        case Tell(telling=telling):
            return (4, telling)
        case Part(spender=spender):
            return (5, spender)
        case Prune(rules=rules):
            return (6, tuple(rules))
        case _:
            assert_never(question)


def reply(
    packed: list[bytes], rules: dict[str, Rule]
) -> tuple[list[Decision | None], Account, Moment]:
    """Read the script's reply; no decisions at all where it must be told first.

    Raises:
        BackendCorruptError: it is not what this version's script says.

    """
    try:
        now, wall, decisions = _read_decisions(packed[0])
        if len(packed) == 1:
            return [], Account(), Moment(now, wall)
        head = read_head(packed[1])
        counts = dict(zip(rules, map(read_count, packed[2:]), strict=True))
    except (msgspec.DecodeError, ValueError, IndexError, TypeError) as error:
        raise BackendCorruptError(f"the ledger's reply: {error}") from error
    decided = [None if isinstance(each, _Undecided) else each for each in decisions]
    return decided, Account(head, counts), Moment(now, wall, head.offset)
