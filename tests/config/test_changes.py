"""Changes between two configurations."""

from collections.abc import Callable

from proxy.config.changes import changes
from proxy.config.settings import Settings

Configure = Callable[..., Settings]

BEFORE = """\
name: a
base_url: http://a
credentials: {header: x, value: "${KEY:-}"}
limits: {minute: {limit: 30, per: 60s}}
methods: [GET]
endpoints:
  price: {path: /price, ttl: 90s}
  gone: {path: /gone, ttl: 90s}
"""
AFTER = """\
name: a
base_url: http://a
credentials: {header: x, value: "${KEY:-}"}
limits: {minute: {limit: 60, per: 60s}}
methods: [HEAD, GET]
endpoints:
  price: {path: /price, ttl: 2m}
  new: {path: /new, ttl: 90s}
"""


def test_nothing_changed(configure: Configure) -> None:
    """The same files are the same configuration."""
    assert changes(configure(a=BEFORE), configure(a=BEFORE)) == ()


def test_what_changed_is_named_by_its_path(configure: Configure) -> None:
    """What came, what went, and what is another value, in the words of the files."""
    before = configure("memory: 1MiB\n", a=BEFORE)
    after = configure("memory: 2MiB\n", a=AFTER, b="name: b\nbase_url: http://b\n")
    found = [str(change) for change in changes(before, after)]

    assert [line for line in found if "unmatched" not in line] == [
        "upstreams.a.endpoints.price.methods: {GET} -> {GET, HEAD}",
        "upstreams.a.endpoints.price.ttl: 90 -> 120",
        "upstreams.a.endpoints.gone: removed",
        "upstreams.a.endpoints.new: added",
        "upstreams.a.limits.minute.limit: 30 -> 60",
        "upstreams.b: added",
        "memory: 1048576 -> 2097152",
    ]


def test_a_secret_changes_unseen(configure: Configure) -> None:
    """That a key is another one is said; neither is shown."""
    before = configure("", {"KEY": "s3cr3t-1"}, a=BEFORE)
    after = configure("", {"KEY": "s3cr3t-2"}, a=BEFORE)

    assert [str(change) for change in changes(before, after)] == [
        "upstreams.a.credentials.value: (secret) -> another (secret)"
    ]
