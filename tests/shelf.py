"""A place for forms that forgets nothing."""

from proxy.core.model import Entry
from proxy.forms import Form


class Shelf:
    """Holds every entry that it hears of, with all its forms."""

    def __init__(self) -> None:
        self.kept: dict[int, tuple[Entry, tuple[Form, ...]]] = {}
        self.held = 0

    def forms(self, entry: Entry) -> tuple[Form, ...]:
        return self.kept.get(id(entry), (entry, ()))[1]

    def keep(self, entry: Entry, form: Form) -> bool:
        self.kept[id(entry)] = (entry, (*self.forms(entry), form))
        return True

    def drop(self, entry: Entry, form: Form) -> None:
        left = tuple(each for each in self.forms(entry) if each is not form)
        self.kept[id(entry)] = (entry, left)

    def hold(self, size: int) -> None:
        self.held += size
