"""What documents name exists: files, folders, modules, functions, commands; so do files that code names in prose."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.commands.__main__ import COMMANDS
from tests.docs.documents import DOCUMENTS, ROOT, without_fences

TOPS = {"functions", "shared", "scripts", "tests", "benchmarks", "docs", "portal-static", ".ci"}
"""Folders of the root. Documents may leave out `shared/` before one of its packages."""

PACKAGES = {folder.name for folder in (ROOT / "shared").iterdir() if folder.is_dir()}
_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
_IN_PROSE = re.compile(
    r"(?<![\w./-])(?:functions|shared|scripts|tests|benchmarks|docs)/[\w./-]*\.(?:py|md|json|js|sql)\b"
)
_IN_DIAGRAM = re.compile(r"[\w-]+(?:/[\w-]+)+\.py")
_MODULE = re.compile(r"(?<![\w./-])(?:shared|functions|scripts)(?:\.[a-z_]+)+")
SOURCES = ("*.py", "*.js", "*.ts", "*.sh", "*.toml", "scripts/*")
FEWEST, FEWEST_IN_CODE = 100, 30
"""Names in the documents, and in code; with fewer the patterns above would have ceased to find them."""


def exists(path: str) -> bool:
    """Whether a path is there from the root or from `shared/`; a bare file name anywhere in the repository."""
    if "/" not in path:
        return any(Path(file).name == path for file in _files())
    return (ROOT / path).exists() or (ROOT / "shared" / path).exists()


@cache
def _files(*patterns: str) -> tuple[str, ...]:
    """What git knows, and what it would if it were told of new files."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in listed.stdout.splitlines() if (ROOT / name).is_file())


def named_paths(text: str) -> Iterator[tuple[str, str]]:
    """Paths in backticks, as a whole or as the first word of a command, each with the name after its colon, if any."""
    for quoted in _QUOTED.findall(without_fences(text)):
        path, _, symbol = quoted.partition(": ")
        path = path.split(" ")[0]
        first = path.partition("/")[0]
        if _PATH.fullmatch(path) and (path.endswith(".py") or ("/" in path and first in TOPS | PACKAGES)):
            yield path, symbol


def _symbols(path: str) -> set[str]:
    file = ROOT / path if (ROOT / path).exists() else ROOT / "shared" / path
    return set(re.findall(r"^\s*(?:async def|def|class) (\w+)", file.read_text(), re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_paths_of_a_document_exist(document: Path) -> None:
    text = (ROOT / document).read_text()
    missing = [path for path, _ in named_paths(text) if not exists(path)]
    missing += [path for path in _IN_DIAGRAM.findall(_fenced(text, "mermaid")) if not exists(path)]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_functions_named_after_a_path_are_in_its_file(document: Path) -> None:
    found = [(path, symbol) for path, symbol in named_paths((ROOT / document).read_text()) if symbol and exists(path)]
    assert [(path, symbol) for path, symbol in found if symbol not in _symbols(path)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_modules_named_with_dots_exist(document: Path) -> None:
    modules = _MODULE.findall(_in_backticks((ROOT / document).read_text()))
    missing = [
        name for name in modules if not any((ROOT / (name.replace(".", "/") + end)).exists() for end in ("", ".py"))
    ]
    assert missing == []


def test_commands_in_shell_blocks_exist() -> None:
    for document in DOCUMENTS:
        shell = _fenced((ROOT / document).read_text(), "sh")
        missing = [name for name in re.findall(r"(?<![\w./-])scripts/\w+", shell) if not exists(name)]
        assert missing == [], document


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_of_operators_exist(document: Path) -> None:
    named = re.findall(r"scripts/ams ([a-z][a-z-]*)", (ROOT / document).read_text())
    assert [name for name in named if name not in COMMANDS] == []


def test_files_that_code_names_in_prose_exist() -> None:
    named = [(name, path) for name in _files(*SOURCES) for path in _IN_PROSE.findall((ROOT / name).read_text())]
    assert len(named) > FEWEST_IN_CODE
    assert [(name, path) for name, path in named if not exists(path)] == []


def test_enough_is_looked_at() -> None:
    assert sum(len(list(named_paths((ROOT / document).read_text()))) for document in DOCUMENTS) > FEWEST


@pytest.mark.parametrize(
    "text", ["`billing/nothing.py`", "`scripts/nothing --all`", "`shared/nothing/`", "`nothing.py`"]
)
def test_a_path_that_is_gone_is_found(text: str) -> None:
    ((path, _),) = named_paths(text)
    assert not exists(path)


def _in_backticks(text: str) -> str:
    return " ".join(_QUOTED.findall(without_fences(text)))


def _fenced(text: str, language: str) -> str:
    return "\n".join(re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL))
