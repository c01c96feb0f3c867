"""Who leads: decided in memory, by whoever asks, lands and leaves in which order."""

from proxy.core.landings import NONE, Ending, Landed
from proxy.fleet.arbiter import REMEMBERED, Arbiter, Ask, Leading, Told


class Table:
    """An arbiter, and what each who asked was told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.arbiter = Arbiter(lambda: self.now)
        self.told: dict[str, list[Told]] = {}

    def ask(self, name: str, key: str = "a", known: float = NONE) -> Ask:
        told = self.told.setdefault(name, [])
        ask = Ask(key, known, told.append)
        self.arbiter.ask(ask)
        return ask


def test_the_first_leads_and_the_others_are_told_of_its_landing() -> None:
    """One fetch for all who ask while it is under way."""
    table = Table()
    leader = table.ask("leader")
    table.ask("one")
    table.ask("two")
    table.arbiter.land(leader, Ending.STORED, 7.0)

    landed = Landed(Ending.STORED, 7.0)
    assert {"leader": [Leading()], "one": [landed], "two": [landed]} == table.told


def test_each_key_has_its_own_leader() -> None:
    """Flights of different keys do not wait for each other."""
    table = Table()
    table.ask("one", "a")
    table.ask("two", "b")

    assert {"one": [Leading()], "two": [Leading()]} == table.told


def test_who_waited_longest_inherits_a_lead() -> None:
    """A leader that goes without a word is succeeded by one; the others wait on, for that one."""
    table = Table()
    leader = table.ask("leader")
    heir = table.ask("heir")
    table.ask("other")
    table.arbiter.leave(leader)

    assert ([Leading(inherited=True)], []) == (table.told["heir"], table.told["other"])

    table.arbiter.land(heir, Ending.FAILED, NONE)
    assert [Landed(Ending.FAILED)] == table.told["other"]


def test_a_late_leader_ends_nobodys_flight() -> None:
    """Who has lost its lead and lands after all is not taken for its successor."""
    table = Table()
    leader = table.ask("leader")
    table.ask("heir")
    table.ask("other")
    table.arbiter.leave(leader)
    table.arbiter.land(leader, Ending.STORED, 7.0)

    assert [] == table.told["other"]


def test_who_leaves_is_told_nothing() -> None:
    """A follower that goes neither hears of the landing nor inherits."""
    table = Table()
    leader = table.ask("leader")
    table.arbiter.leave(table.ask("gone"))
    table.arbiter.leave(leader)
    table.arbiter.leave(leader)

    assert [] == table.told["gone"]
    table.ask("next")
    assert [Leading()] == table.told["next"]


def test_who_asks_after_a_landing_is_told_of_it_unless_it_knows() -> None:
    """What is in the store already is not fetched again by one who looked a moment too early."""
    table = Table()
    table.arbiter.land(table.ask("leader"), Ending.STORED, 7.0)
    table.ask("ignorant", known=3.0)
    table.ask("knowing", known=7.0)

    assert [Landed(Ending.STORED, 7.0, awaited=False)] == table.told["ignorant"]
    assert [Leading()] == table.told["knowing"]


def test_landings_are_forgotten() -> None:
    """After a while nobody can have looked before it, and nothing is kept of it."""
    table = Table()
    for key in ("a", "b"):
        table.arbiter.land(table.ask("leader", key), Ending.STORED, 7.0)
    table.now = REMEMBERED
    table.ask("late")

    assert [Leading()] == table.told["late"]
    assert not table.arbiter._landed


def test_only_what_is_stored_is_remembered() -> None:
    """Where nothing came of it, who asks next leads."""
    table = Table()
    table.arbiter.land(table.ask("leader"), Ending.FAILED, NONE)
    table.ask("next")

    assert [Leading()] == table.told["next"]
