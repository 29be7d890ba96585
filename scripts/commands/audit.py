"""Verify the audit log: find every entry that was altered, removed or added (docs/audit.md)."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import TypeAdapter, ValidationError

from scripts.local_settings import use_local_settings
from scripts.terminal import counted, errors, failure
from shared.audit.chain import ChainHead, head_of, verify_chain
from shared.audit.models import Entry
from shared.bootstrap import application, close
from shared.kernel.errors import Unavailable

Result = TypeVar("Result")
FAILED, UNUSABLE = 1, 2
"""Exit codes: the log is not as it was written, or not readable; an option or file is not usable."""

_HEADS = TypeAdapter(list[ChainHead])

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback(help=__doc__)
def main() -> None:
    try:
        use_local_settings()
    except ValueError as error:
        raise failure(str(error), UNUSABLE) from None


@app.command("verify", epilog="Example: scripts/ams audit verify --anchor anchor.json")
def verify_log(
    anchor: Annotated[Path | None, typer.Option(help="What `anchor` printed earlier, kept elsewhere.")] = None,
    export: Annotated[Path | None, typer.Option(help="Verify this NDJSON export instead of the log.")] = None,
) -> None:
    """Follow the hash chain of every month. Ends with 1 when something is wrong, naming each entry."""
    anchors = {head.month: head for head in _read_anchors(anchor)}
    found, faults = _verify_export(export, anchors) if export is not None else _run(_verify(anchors))
    for fault in faults:
        errors.print(fault)
    if faults:
        raise failure(f"{counted(len(faults), 'fault')} in {found} entries", FAILED)
    typer.echo(f"{found} entries, nothing altered, removed or added")


@app.command("anchor", epilog="Example: scripts/ams audit anchor > anchor.json")
def print_anchor() -> None:
    """Print where each month's chain ends, as JSON. Kept where the platform's operators cannot write, it proves later
    that the end was not cut off."""
    typer.echo(_HEADS.dump_json(_run(_heads()), indent=2).decode())


async def _verify(anchors: dict[str, ChainHead]) -> tuple[int, list[str]]:
    log = application().audit.log
    found, faults = 0, []
    for month in sorted({*await log.months(), *anchors}):
        head = await log.head(month)
        faults += await verify_chain(month, log.entries(month), head, anchors.get(month))
        found += head.entries
    return found, faults


async def _heads() -> list[ChainHead]:
    log = application().audit.log
    return [await log.head(month) for month in await log.months()]


def _verify_export(path: Path, anchors: dict[str, ChainHead]) -> tuple[int, list[str]]:
    """Verify a whole export, of all actors and actions: the end of each month is what the file says it is."""
    try:
        entries = [Entry.model_validate_json(line) for line in path.read_text().splitlines() if line]
    except (OSError, ValidationError, UnicodeDecodeError) as error:
        raise failure(f"{path}: {error}", UNUSABLE) from None
    faults: list[str] = []
    for month, group in groupby(entries, key=lambda entry: entry.time[:7]):
        chain = list(group)
        faults += asyncio.run(verify_chain(month, _each(chain), head_of(month, chain[-1]), anchors.get(month)))
    return len(entries), faults


async def _each(entries: Iterable[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


def _read_anchors(path: Path | None) -> list[ChainHead]:
    if path is None:
        return []
    try:
        return _HEADS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise failure(f"{path}: {error}", UNUSABLE) from None


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    async def whole() -> Result:
        try:
            return await work
        finally:
            await close()

    try:
        return asyncio.run(whole())
    except (Unavailable, ValueError) as error:
        raise failure(str(error), FAILED) from None
