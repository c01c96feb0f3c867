"""Where nothing is kept, nothing is found."""

from proxy.forms import UNKEPT
from proxy.http.renderings import Rendering
from tests.store.entries import ENTRY


def test_unkept_keeps_nothing() -> None:
    """Who has no first level is told that nothing is held; letting go of it does no harm."""
    form = Rendering(b"", b"", dated=True)

    assert not UNKEPT.keep(ENTRY, form)
    UNKEPT.hold(100)
    UNKEPT.drop(ENTRY, form)
    assert UNKEPT.forms(ENTRY) == ()
