"""How the folders are kept: few modules in each, a package says what it owns, no import runs in a circle, and one name
is one class or type.

Circles between folders are a contract of import-linter (pyproject.toml); this one is between modules, so it also finds
a package that imports what imports the package.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import typer

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("functions", "shared", "scripts")
MODULES_MAX = 14
"""In one folder, `__init__.py` included: what a reader takes in at a glance."""
_CAMEL_CASE = re.compile(r"[A-Z]\w*[a-z]\w*")


def folder_faults(root: Path) -> Iterator[str]:
    """List folders with too many modules, without an `__init__.py`, or with one that says nothing."""
    for folder in sorted({path.parent for path in root.rglob("*.py") if "node_modules" not in path.parts}):
        modules = list(folder.glob("*.py"))
        if len(modules) > MODULES_MAX:
            yield f"{folder}: has {len(modules)} modules, more than {MODULES_MAX}"
        package = folder / "__init__.py"
        if not package.exists():
            yield f"{folder}: has no __init__.py"
        elif not ast.get_docstring(ast.parse(package.read_text())):
            yield f"{package}: must say in its docstring what the package owns"


def name_faults(root: Path, sources: Iterable[str]) -> Iterator[str]:
    """List public names that two modules give to a class or a type of their own; type variables are local, and do not
    count."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(file for source in sources for file in (root / source).rglob("*.py")):
        if "node_modules" not in path.parts:
            for name in _types_of(ast.parse(path.read_text())):
                places[name].append(str(path.relative_to(root)))
    for name, files in sorted(places.items()):
        if len(files) > 1:
            yield f"{name}: is one name of several things, in {', '.join(files)}"


def _types_of(module: ast.Module) -> Iterator[str]:
    """The public classes and type aliases that a module defines: an alias is what a name in CamelCase is set to."""
    for statement in module.body:
        match statement:
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not _is_type_variable(value):
                pass
            case _:
                continue
        if _CAMEL_CASE.fullmatch(name):
            yield name


def _is_type_variable(value: ast.expr) -> bool:
    match value:
        case ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec")):
            return True
    return False


def circle_faults(imports: Mapping[str, set[str]]) -> Iterator[str]:
    """List the first circle among modules and what they import, for type checks too."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        yield f"imports run in a circle: {' ← '.join(error.args[1])}"


def _imports() -> dict[str, set[str]]:
    graph = grimp.build_graph(*SOURCES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)}


def faults() -> Iterator[str]:
    """List everything that is wrong with the folders as they are."""
    for source in SOURCES:
        yield from folder_faults(ROOT / source)
    yield from name_faults(ROOT, SOURCES)
    yield from circle_faults(_imports())


def main() -> None:
    """Print what is wrong; end with 1 if anything is."""
    found = list(faults())
    for fault in found:
        typer.echo(fault.replace(f"{ROOT}/", ""), err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
