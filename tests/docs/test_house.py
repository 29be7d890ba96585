"""The architecture page shows every room that there is."""

import re
from pathlib import Path

from tests.docs.documents import ROOT

SHARED = ROOT / "shared"
NOUNS = ("access", "alerts", "audit", "billing", "catalog", "identity", "metering", "reports", "webhooks")
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def _packages(folder: Path) -> set[str]:
    return {path.parent.relative_to(SHARED).as_posix() for path in folder.glob("*/__init__.py")}


def _section(heading: str) -> str:
    return re.split(r"\n## ", PAGE.partition(f"\n## {heading}\n")[2])[0]


def test_every_room_is_in_the_table() -> None:
    rooms = re.findall(r"^\| \**`([\w/]+)/`", _section("Rooms within the rooms"), re.MULTILINE)
    # `routes/` of a noun is the file `routes.py` in several.
    there = {room for noun in NOUNS for room in {noun, *_packages(SHARED / noun)} if not room.endswith("/routes")}

    assert sorted(rooms) == sorted(there)


def test_every_folder_of_shared_is_a_floor() -> None:
    floors = re.findall(r"`shared/(\w+)/`", _section("The house"))
    assert sorted(floors) == sorted(_packages(SHARED))
