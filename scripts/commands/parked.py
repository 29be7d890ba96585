"""Look at the events that could not be counted, and publish them again after a fix (docs/parked.md)."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from scripts.local_settings import use_local_settings
from scripts.terminal import errors, failure
from shared.bootstrap import application, close
from shared.kernel.errors import Unavailable
from shared.metering.counting.parked import Parked, ParkedEvent

FAILED, UNUSABLE = 1, 2
"""Exit codes: an event is not there, or the stores are not reachable; settings or options are not usable."""

Result = TypeVar("Result")

app = typer.Typer(no_args_is_help=True, add_completion=False)


class NoSuchEvent(LookupError):
    """Nothing is parked under the name."""


@app.callback(help=__doc__)
def main() -> None:
    try:
        use_local_settings()
    except ValueError as error:
        raise failure(str(error), UNUSABLE) from None


@app.command("list")
def list_events() -> None:
    """Print what is parked, one line an event."""
    events = _run(_all_events())
    table = Table("name", "reason", "parked at", "detail", box=None)
    for event in events:
        # Names are for the next command: never cut. Details are free text: never markup.
        table.add_row(event.name, event.reason, event.parked_at, _one_line(event.detail))
    if events:
        Console(width=None if Console().is_terminal else 300, markup=False, highlight=False).print(table)
    typer.echo(f"{len(events)} parked")


@app.command(epilog="Example: scripts/ams parked show parked/NAME.json")
def show(name: Annotated[str, typer.Argument(help="As `parked list` prints it.")]) -> None:
    """Print one event as JSON: why it is parked, its bytes in base64, and decoded where they are JSON."""
    typer.echo(json.dumps(_shown(_run(_event(name))), indent=2, ensure_ascii=False))


@app.command(epilog="Example: scripts/ams parked replay --all")
def replay(
    names: Annotated[list[str] | None, typer.Argument(help="As `parked list` prints them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Replay everything that is parked.")] = False,
) -> None:
    """Publish events again. What is still bad is parked again, under the same name."""
    if bool(names) == everything:
        raise typer.BadParameter("give names or --all")
    replayed, missing = _run(_replay(names or []))
    for name in missing:
        errors.print(f"nothing is parked as {name}")
    typer.echo(f"{replayed} replayed")
    if missing:
        raise typer.Exit(FAILED)


@asynccontextmanager
async def _parked() -> AsyncIterator[Parked]:
    try:
        yield application().metering.parked
    finally:
        await close()


async def _all_events() -> list[ParkedEvent]:
    async with _parked() as parked:
        found = [await parked.get(name) async for name in parked.names()]
    return [event for event in found if event is not None]  # None: replayed meanwhile


async def _event(name: str) -> ParkedEvent:
    async with _parked() as parked:
        event = await _get(parked, name)
    if event is None:
        raise NoSuchEvent(name)
    return event


async def _get(parked: Parked, name: str) -> ParkedEvent | None:
    """Read a parked event; None also for a name that nothing can have."""
    try:
        return await parked.get(name)
    except ValueError:
        return None


async def _replay(names: list[str]) -> tuple[int, list[str]]:
    """Replay events by name; returns how many were published, and which names are not there. No names: everything."""
    async with _parked() as parked:
        # All names before the first replay: what is still bad comes back while this runs, and must not be met again.
        wanted = names or [name async for name in parked.names()]
        missing = [name for name in wanted if await _get(parked, name) is None or not await parked.replay(name)]
    return len(wanted) - len(missing), missing


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command so that what an operator can mend is one line, not a trace."""
    try:
        return asyncio.run(work)
    except NoSuchEvent as error:
        raise failure(f"nothing is parked as {error}", FAILED) from None
    except (Unavailable, ValueError) as error:  # ValueError: settings
        raise failure(str(error), FAILED) from None


def _shown(event: ParkedEvent) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    fields["event_base64"] = fields.pop("event")
    try:
        fields["event"] = json.loads(base64.b64decode(fields["event_base64"]))
    except (ValueError, RecursionError):
        fields["event"] = None
    return fields


def _one_line(text: str) -> str:
    return " ".join(text.split())
