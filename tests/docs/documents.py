"""The documents of the repository, and how their text is cut."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md"))
    if path.name != "CHANGELOG.md"  # it tells of what was, too
)
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def without_fences(text: str) -> str:
    """The prose of a document, without its blocks of code."""
    return _FENCE.sub("", text)
