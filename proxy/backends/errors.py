"""What can go wrong with a backend, in the house's own words; no library error leaves this room."""


class BackendError(Exception):
    """Anything a backend could not do."""


class BackendLostError(BackendError):
    """The backend cannot be reached, was too late, or went away with the call under way.

    Whether the call took effect is unknown, unless `sent` is False.
    """

    def __init__(self, reason: str, *, sent: bool = True) -> None:
        super().__init__(reason)
        self.sent = sent
        """False: nothing left this process, so the call certainly had no effect."""


class BackendReplyError(BackendError):
    """The backend answered with an error; `code` is its first word (`NOAUTH`, `OOM`, `ERR`)."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message.split(" ", 1)[0]


class BackendCorruptError(BackendError):
    """What is stored cannot be trusted: the file is damaged, or another program's."""


class BackendVersionError(BackendError):
    """What is stored was written by a newer version, which this one cannot read."""
