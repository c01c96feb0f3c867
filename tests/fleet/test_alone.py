"""A fleet of one."""

from proxy.core.landings import NONE
from proxy.fleet.alone import Alone


async def test_there_is_nobody_to_lead() -> None:
    """Who is alone flies at once, and has nobody to tell."""
    fleet = Alone()
    await fleet.open()

    assert await fleet.lead("a", NONE) is None
    await fleet.close()
