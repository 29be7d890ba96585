"""How the folders are kept: few modules in each, a package says what it owns, and no import runs in a circle.

Circles between folders are a contract of import-linter (pyproject.toml); this one is between modules, so it also finds
a package that imports what imports the package.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import typer

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("functions", "shared", "scripts")
MODULES_MAX = 14
"""In one folder, `__init__.py` included: what a reader takes in at a glance."""


def folder_faults(root: Path) -> Iterator[str]:
    """Folders with too many modules, without an `__init__.py`, or with one that says nothing."""
    for folder in sorted({path.parent for path in root.rglob("*.py") if "node_modules" not in path.parts}):
        modules = list(folder.glob("*.py"))
        if len(modules) > MODULES_MAX:
            yield f"{folder}: has {len(modules)} modules, more than {MODULES_MAX}"
        package = folder / "__init__.py"
        if not package.exists():
            yield f"{folder}: has no __init__.py"
        elif not ast.get_docstring(ast.parse(package.read_text())):
            yield f"{package}: must say in its docstring what the package owns"


def circle_faults(imports: Mapping[str, set[str]]) -> Iterator[str]:
    """The first circle among modules and what they import, for type checks too."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        yield f"imports run in a circle: {' ← '.join(error.args[1])}"


def _imports() -> dict[str, set[str]]:
    graph = grimp.build_graph(*SOURCES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}


def faults() -> Iterator[str]:
    """Everything that is wrong with the folders as they are."""
    for source in SOURCES:
        yield from folder_faults(ROOT / source)
    yield from circle_faults(_imports())


def main() -> None:
    """Print what is wrong; end with 1 if anything is."""
    found = list(faults())
    for fault in found:
        typer.echo(fault.replace(f"{ROOT}/", ""), err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
