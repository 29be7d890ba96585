"""Links of the documents lead somewhere: to a file, and to a heading that is in it."""

import re
from pathlib import Path

import pytest

from tests.docs.documents import DOCUMENTS, ROOT, without_fences

LINES_WITHOUT_CONTENTS = 110
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
_SOURCE = re.compile(r"\b(?:src|srcset|href)=\"(?!https?:)([^\"]+)\"")


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a document's headings: lower case, no punctuation, hyphens for spaces."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", without_fences(text), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        repeated = sum(1 for known in found if re.fullmatch(re.escape(anchor) + r"(-\d+)?", known))
        found.add(f"{anchor}-{repeated}" if repeated else anchor)
    return found


def broken(document: Path) -> list[str]:
    """Links of a document that lead nowhere."""
    text = without_fences(document.read_text())
    wrong = []
    for link in _LINK.findall(text) + _SOURCE.findall(text):
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            wrong.append(link)
    return wrong


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    assert broken(ROOT / document) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text('# A title: `x`\n[1](a.md#a-title-x) [2](#a-title) [3](b.md)\n<img src="c.svg">\n')

    assert broken(document) == ["#a-title", "b.md", "c.svg"]


@pytest.mark.parametrize("document", [page for page in DOCUMENTS if page.parent.name == "docs"], ids=str)
def test_a_long_page_lists_its_headings_first(document: Path) -> None:
    text = without_fences((ROOT / document).read_text())
    if text.count("\n") > LINES_WITHOUT_CONTENTS:
        beginning = text.partition("\n## ")[0]
        headings = re.findall(r"^## .+$", text, re.MULTILINE)
        assert [heading for heading in headings if f"(#{anchors(heading).pop()})" not in beginning] == []


def test_every_page_is_linked_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    linked = {ROOT / link.partition("#")[0] for link in _LINK.findall(readme)}
    pages = {*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"}
    assert {page.name for page in pages - linked} == set()
