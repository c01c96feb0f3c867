"""What a connection to Redis proves itself with, and how it is kept secret on the way."""

import ssl

from proxy.backends.address import RedisAddress, RedisOptions
from proxy.backends.errors import BackendLostError


class Credentials:
    """User and password, read anew for each connection, so that a password may be rotated."""

    def __init__(self, address: RedisAddress, options: RedisOptions) -> None:
        """Take the URL's, which the options' `username` and `password_file` outrank."""
        self._address = address
        self._options = options

    def __call__(self) -> tuple[str, str]:
        """Return `(user, password)`; empty where there is none.

        Raises:
            BackendLostError: the password file cannot be read.

        """
        user = self._options.username or self._address.username
        if self._options.password_file is None:
            return user, self._address.password
        try:
            text = self._options.password_file.read_text(encoding="utf-8")
        except OSError as error:
            raise BackendLostError(f"password_file: {error.strerror}", sent=False) from error
        return user, text.partition("\n")[0].strip()


def tls_context(address: RedisAddress, options: RedisOptions) -> ssl.SSLContext | None:
    """Return how to speak TLS (certificate and host name checked), or None for plain text.

    Raises:
        BackendLostError: the file of trusted certificates cannot be read.

    """
    if not address.tls:
        return None
    try:
        return ssl.create_default_context(cafile=options.tls_ca and str(options.tls_ca))
    except OSError as error:  # ssl.SSLError is one
        raise BackendLostError(f"tls_ca: {error.strerror}", sent=False) from error
