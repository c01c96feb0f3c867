"""How the requests of an endpoint can share calls, as an operator declares it: see `batches`."""

from dataclasses import dataclass
from enum import StrEnum


class ListForm(StrEnum):
    """How a list is written."""

    COMMA = "comma"
    """Members with a separator between them."""
    JSON = "json"


class Order(StrEnum):
    """In which order the provider lists what it was asked for."""

    ASKED = "asked"
    SORTED = "sorted"


class Case(StrEnum):
    """Which spellings name one member."""

    EXACT = "exact"
    LOWER = "lower"
    UPPER = "upper"
    HEX = "hex"
    """As `lower` where it begins with 0x (EVM addresses); all others exactly as they are."""


@dataclass(frozen=True, slots=True)
class Batch:
    """How the requests of one endpoint share calls."""

    parameter: str
    """Query parameter, or variable of the path template, that holds the list; empty: there is
    none, and only `all` can serve several."""
    in_path: bool = False
    form: ListForm = ListForm.COMMA
    separator: str = ","
    """What stands between members, where the list is no JSON."""
    most: int = 100
    """Members that one call is made for."""
    accepts: int = 0
    """Members of the longest list that the provider takes; 0: `most`."""
    single: str = ""
    """Query parameter that names one member; its reply is the member bare, not a list of one."""
    at: str = ""
    """Name under which the members stand in the reply; empty: the reply is nothing else."""
    field: tuple[str, ...] = ()
    """The members are an array, and this is where each names itself; empty: an object by key."""
    several: bool = False
    """An array may hold several elements for one member."""
    all: bool = False
    """Leaving the parameter out asks for all there are."""
    order: Order = Order.ASKED
    ranked: tuple[str, ...] = ()
    """Where an element says the figure by which the provider ranks them, largest first."""
    case: Case = Case.EXACT
    unique: bool = False
    """The provider refuses a list that names a member twice."""
    riders: bool = True
    """A call takes along members that will be asked for again soon."""
    unless: frozenset[str] = frozenset()
    """Query parameters whose presence leaves a request alone."""

    def same(self, member: str) -> str:
        """Return the one spelling of a member."""
        match self.case:
            case Case.LOWER:
                return member.lower()
            case Case.UPPER:
                return member.upper()
            case Case.HEX if member[:2].lower() == "0x":
                return member.lower()
            case _:
                return member
