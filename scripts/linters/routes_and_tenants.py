"""Rules that a linter cannot know: every route asks the permission table, every query names its tenant, nothing of a
route runs in a thread.

A route of the API has one guard (`Depends(allowed("<action>"))`), or a place and a reason in `PUBLIC_ROUTES`. A query
across partitions is one across tenants: the line above it must say why (`# Across tenants: …`).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import typer
from fastapi import FastAPI

from shared.api.app import described
from shared.api.operations import operations
from shared.identity.permissions import PERMISSIONS, PUBLIC_ROUTES

ROOT = Path(__file__).resolve().parents[2]
REASON = "# Across tenants: "
SOURCES = ("functions", "shared")
_PLATFORM = "shared/platform/"
"""Adapters run the queries of others."""


def route_faults(app: FastAPI) -> Iterator[str]:
    """List routes without a guard, or public without need, and actions that no route asks for."""
    used, public = set(), set()
    for method, path, action, threads, _ in operations(app):
        name = f"{method} {path}"
        if threads:
            yield f"{name}: {', '.join(threads)} would run in a thread, where parts cannot be built: make it async"
        if action is not None:
            used.add(action)
            if name in PUBLIC_ROUTES:
                yield f"{name}: is guarded, so it has no place in PUBLIC_ROUTES"
        elif name in PUBLIC_ROUTES:
            public.add(name)
        else:
            yield f'{name}: needs Depends(allowed("<action>")), or a reason in PUBLIC_ROUTES'
    for name in sorted(set(PUBLIC_ROUTES) - public):
        yield f"{name}: is in PUBLIC_ROUTES, but there is no such route"
    for action in sorted(set(PERMISSIONS) - used):
        yield f"{action}: is in the permission table, but no route asks for it"


def query_faults(source: str, name: str) -> Iterator[str]:
    """List queries across partitions that do not say why."""
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Query":
            partition = node.args[0] if node.args else _keyword(node, "partition")
            is_across = isinstance(partition, ast.Constant) and partition.value is None
            if is_across and not lines[node.lineno - 2].strip().startswith(REASON):
                yield f"{name}:{node.lineno}: a query across partitions needs `{REASON}<why>` on the line above"


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def faults() -> Iterator[str]:
    """List everything that is wrong with the code as it is."""
    yield from route_faults(described())
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            source = path.read_text()
            if not name.startswith(_PLATFORM) and "documents import" in source:  # FastAPI has a Query of its own
                yield from query_faults(source, name)


def main() -> None:
    """Print what is wrong; end with 1 if anything is."""
    found = list(faults())
    for fault in found:
        typer.echo(fault, err=True)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
