"""The architecture page shows every layer and every package that there is."""

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


def test_every_package_of_a_noun_is_in_the_table() -> None:
    shown = re.findall(r"^\| \**`([\w/]+)/`", _section("Packages"), re.MULTILINE)
    # `routes/` of a noun is the file `routes.py` in several.
    there = {name for noun in NOUNS for name in {noun, *_packages(SHARED / noun)} if not name.endswith("/routes")}

    assert sorted(shown) == sorted(there)


def test_every_folder_of_shared_is_in_a_layer() -> None:
    shown = re.findall(r"`shared/(\w+)/`", _section("Layers"))
    assert sorted(shown) == sorted(_packages(SHARED))
