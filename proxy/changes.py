"""A count of changes, shared by who makes them and who remembers what was true before."""


class Changes:
    """How often something has changed. Who remembers the count knows whether it still holds."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0
