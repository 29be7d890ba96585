"""Replay a web server's access log as usage: each request becomes one usage report of its client's API key.

An event's id is its line's number and its source the log's hash, so a run that was killed is simply repeated: what AMS
has already is not counted again.
"""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from scripts.local_settings import use_local_settings
from scripts.replay.client import AmsError
from scripts.replay.events import Survey, survey_log
from scripts.replay.keys import CONSUMERS_DEFAULT, Replay, ReplayRefused, open_replay
from scripts.replay.log_format import LogUnreadable
from scripts.replay.run import SETTLE_S, ReplayOutcome, replay_log
from scripts.seeding.market import MarketError
from scripts.terminal import errors, failure
from shared.kernel.errors import Unavailable
from shared.platform.secrets import SecretMissing
from shared.settings import load_settings

FAILED, UNUSABLE = 1, 2
"""Exit codes: not all was counted; nothing was tried."""

_HINTS = {
    "event_too_old": "run it without --keep-times, or within 35 days of its first run",
    "key_unknown": "the service at --url does not use this AMS_DATA, or its data was removed: remove {state} to start"
    " anew",
}

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: scripts/ams replay-access-log access.log.gz")
def main(
    file: Annotated[Path, typer.Argument(help="A log in Combined Log Format, plain or gzipped.")],
    url: Annotated[str | None, typer.Option(help="Where AMS answers. [this machine, at AMS_PORT or 7071]")] = None,
    consumers: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help=f"Addresses with a key of their own; the rest share one. [{CONSUMERS_DEFAULT}]"
        ),
    ] = None,
    keep_times: Annotated[
        bool, typer.Option("--keep-times", help="Send the log's own times, not moved so that the newest is now.")
    ] = False,
) -> None:
    """Report an access log as usage and print what AMS counted. Doing it again counts nothing twice."""
    try:
        use_local_settings()
        folder = load_settings(os.environ).ams_data / "replay"
        url = url or f"http://127.0.0.1:{os.environ.get('AMS_PORT') or 7071}"
    except ValueError as error:
        raise failure(str(error), UNUSABLE) from None
    try:
        survey = survey_log(file)
        _print_malformed(survey)
        if not survey.events:
            raise LogUnreadable("no line is in Combined Log Format")
        replay = asyncio.run(open_replay(folder, survey.log, len(survey.addresses), consumers))
    except LogUnreadable as error:
        raise failure(f"{file}: {error}", UNUSABLE) from None
    except (ReplayRefused, MarketError, SecretMissing, Unavailable) as error:
        raise failure(str(error), UNUSABLE) from None
    _run(file, url, survey, replay, folder, keep_times=keep_times)


def _run(file: Path, url: str, survey: Survey, replay: Replay, folder: Path, *, keep_times: bool) -> None:
    try:
        with _progress() as progress:
            run = replay_log(file, url, survey, replay, keep_times=keep_times, progress=progress)
            outcome = asyncio.run(run)
    except (AmsError, LogUnreadable) as error:
        code = error.code if isinstance(error, AmsError) else None
        hint = _HINTS.get(code or "", "run it again: what was counted is not counted twice")
        state = folder / replay.file_name
        raise failure(f"{error}\n{hint.format(state=state)}", FAILED) from None
    typer.echo(f"{file.name} as {replay.source}")
    Console().print(_table(survey, replay, outcome))
    _explain(outcome)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def _print_malformed(survey: Survey) -> None:
    if not survey.malformed:
        return
    errors.print(f"malformed lines, left out: {survey.malformed:,}")
    for number, reason in survey.first_malformed:
        errors.print(f"  line {number}: {reason}")
    if survey.malformed > len(survey.first_malformed):
        errors.print("  …")


def _table(survey: Survey, replay: Replay, outcome: ReplayOutcome) -> Table:
    """Show what was sent in this run, and what the summaries of all keys say now."""
    tally = outcome.tally
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")

    def row(name: str, number: int) -> None:
        table.add_row(name, f"{number:,}")

    row("lines with a request", survey.events)
    row("lines malformed", survey.malformed)
    row("accepted", tally.accepted.total())
    if outcome.settled:
        row("of them duplicates, known already", outcome.duplicates)
    for code, number in sorted(tally.rejected.items()):
        row(f"rejected, {code}", number)
    table.add_section()
    row("API keys", len(replay.keys))
    row("requests", outcome.sum("requests"))
    row("response bytes", outcome.sum("response_bytes"))
    for status, number in sorted(outcome.by_status().items()):
        row(f"status {status}", number)
    return table


def _explain(outcome: ReplayOutcome) -> None:
    """Say on standard error what is wrong with the outcome, and exit accordingly."""
    for code, detail in sorted(outcome.tally.details.items()):
        hint = f" ({_HINTS[code]})" if code in _HINTS else ""
        errors.print(f"{outcome.tally.rejected[code]:,} rejected with {code}: {detail}{hint}")
    if not outcome.settled:
        errors.print(f"The summaries do not hold all that was accepted after {SETTLE_S:g} s. Run it again to look.")
    if outcome.tally.rejected or not outcome.settled:
        raise typer.Exit(FAILED)
