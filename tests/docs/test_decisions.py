"""Decisions (`docs/adr/`) have numbers of their own, without gaps, and a line each in the index."""

import re
import subprocess

from tests.docs.documents import ROOT

FOLDER = ROOT / "docs" / "adr"


def _titles() -> dict[str, str]:
    pages = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
    return {page.name: page.read_text().partition("\n")[0].removeprefix("# ") for page in pages}


def test_numbers_are_unique_and_consecutive() -> None:
    assert [int(name[:4]) for name in _titles()] == list(range(1, len(_titles()) + 1))


def test_a_title_begins_with_the_number_of_its_file() -> None:
    for name, title in _titles().items():
        assert title.startswith(f"{int(name[:4])}. "), name


def test_the_index_has_a_line_for_each_in_their_order() -> None:
    rows = re.findall(r"^\| \[(\d+)\]\(([\w-]+\.md)\) \| (.+?) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert [(name, f"{number}. {title}") for number, name, title in rows] == list(_titles().items())


def test_decisions_that_are_named_by_number_exist() -> None:
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page != FOLDER / "README.md"]
    for page in [*pages, ROOT / "CHANGELOG.md"]:
        for numbers in re.findall(r"\bADR (\d+(?:, \d+)*)", page.read_text()):
            assert all(1 <= int(number) <= len(_titles()) for number in numbers.split(", ")), page


def test_decisions_that_code_names_exist_and_are_named_in_full() -> None:
    listed = subprocess.run(["git", "ls-files", "*.py", "*.toml"], cwd=ROOT, capture_output=True, text=True, check=True)
    named = [
        (file, name)
        for file in listed.stdout.splitlines()
        if (ROOT / file).is_file()
        for name in re.findall(r"docs/adr/(\d[\w.-]*)", (ROOT / file).read_text())
    ]
    assert named
    assert [(file, name) for file, name in named if name.rstrip(".") not in _titles()] == []
