"""Marks: the names by which a request is known to carry a key, a signature or a token.

Those that every provider shares; what an upstream adds stands in its configuration. Lower case.
"""

from typing import Final

SIGNATURE_PARAMETERS: Final = frozenset({"signature"})
SIGNATURE_HEADERS: Final = frozenset({"ok-access-sign", "x-bapi-sign", "api-sign"})
TOKEN_HEADERS: Final = frozenset({"authorization", "cookie"})
"""Under `obey`, RFC 9111 section 3.5 decides what they mean."""

MARKS: Final = SIGNATURE_HEADERS | TOKEN_HEADERS

PATIENCE: Final = frozenset({"prefer", "priority"})
"""Fields in which a client says how long it would wait, and how urgent it is."""

DESCRIBE_BODY: Final = ("content-type", "content-encoding")
"""Fields that say how a cached request's body is to be read."""
