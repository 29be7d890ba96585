"""Close a month now, instead of waiting for the timer: every merchant's invoices up to and including it."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from scripts.local_settings import use_local_settings
from scripts.terminal import counted, errors, failure
from shared.billing.invoices.models import Invoice
from shared.billing.month_close.models import Close
from shared.billing.month_close.service import PeriodNotBegun, PeriodNotOver
from shared.billing.profiles.models import BillingProfile
from shared.billing.usage.proofs import proven_records
from shared.billing.usage.records import export_csv
from shared.bootstrap import Application, application, close
from shared.kernel.clock import utc_now
from shared.kernel.errors import Unavailable
from shared.kernel.money import ZERO, money_text
from shared.kernel.periods import name_at, parse_month
from shared.platform.documents import Where

HELD, UNUSABLE = 1, 2
"""Exit codes: some could not be billed; nothing was closed."""

INVOICES_SHOWN = 20
MOST_AHEAD_OF_UTC = timedelta(hours=14)
"""Where a month begins first."""

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Closed:
    """A close that ended, and the invoices that it issued."""

    close: Close
    invoices: Sequence[Invoice]


@app.command(epilog="Example: scripts/ams close-month --month 2026-10 --export invoices")
def main(
    month: Annotated[str, typer.Option(help="YYYY-MM, by the calendar of each merchant.")],
    merchant: Annotated[str | None, typer.Option(help="Only this merchant's, by id.")] = None,
    early: Annotated[
        bool, typer.Option("--early", help="Also when it is not over: later usage is then corrected on the next one.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(help="A folder for each invoice's PDF, JSON and records, by number.", file_okay=False)
    ] = None,
) -> None:
    """Close every unclosed month up to this one and print what is billed. Doing it again bills nothing twice."""
    _check(month, export)
    try:
        found = asyncio.run(_close(month, merchant, export, early=early))
    except Unavailable as error:
        raise failure(str(error), UNUSABLE) from None
    if not found:
        raise failure("nothing was closed", UNUSABLE)
    _print(found)
    if any(one.close.held for one in found):
        raise typer.Exit(HELD)


def _check(month: str, export: Path | None) -> None:
    try:
        use_local_settings()
        parse_month(month)
    except ValueError as error:
        raise failure(f"--month: {error}", UNUSABLE) from None
    if month > f"{utc_now() + MOST_AHEAD_OF_UTC:%Y-%m}":
        raise failure(f"--month: {month} has not begun", UNUSABLE)
    try:
        if export is not None:
            export.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise failure(f"--export: {error}", UNUSABLE) from None


async def _close(month: str, merchant: str | None, export_to: Path | None, *, early: bool) -> list[Closed]:
    app = application()
    found: list[Closed] = []
    try:
        profiles = [
            profile async for profile in app.billing.profile_store.profiles() if merchant in (None, profile.merchant_id)
        ]
        if not profiles:
            errors.print(f"{merchant or 'no merchant'} has {'no' if merchant else 'a'} billing profile")
        for profile in profiles:
            found += await _close_merchant(app, profile, month, early=early)
        await app.billing.filer.run()
        if export_to is not None:
            for one in found:
                await _export(app, one.invoices, export_to)
        await app.audit.journal.deliver_due()
    finally:
        await close()
    return found


async def _close_merchant(app: Application, profile: BillingProfile, month: str, *, early: bool) -> list[Closed]:
    found = []
    while (due := await app.billing.closer.next_period(profile)).name <= month:
        try:
            closed = await app.billing.closer.close(profile, due, early=early or _may_be_early(app))
        except PeriodNotBegun as error:
            errors.print(f"{profile.merchant_id}: {error}.")
            break
        except PeriodNotOver as error:
            errors.print(f"{profile.merchant_id}: {error}; --early closes it all the same.")
            break
        if due.end > utc_now():
            typer.echo(
                f"{profile.merchant_id}: {due.name} is not over; what is used after this comes as a correction on the"
                " next invoice."
            )
        found.append(Closed(closed, await _invoices(app, closed)))
        if closed.status != "done":
            break
    if month < (first := name_at(profile.billing_from, profile.time_zone, profile.anchor_day)):
        errors.print(f"{profile.merchant_id}: billing began with {first}")
    known = await app.billing.close_store.close(profile.merchant_id, month)
    if known is not None and month not in {one.close.period for one in found}:
        found.append(Closed(known.value, await _invoices(app, known.value)))
    return found


async def _export(app: Application, invoices: Sequence[Invoice], folder: Path) -> None:
    """Write the files that `scripts/ams verify-invoice` takes."""
    for invoice in track(
        invoices, description="export", console=errors, transient=True, disable=not errors.is_terminal
    ):
        for name in (
            await app.billing.document_cache.get(invoice, "pdf"),
            await app.billing.document_cache.get(invoice, "json"),
        ):
            blob = await app.ports.blobs.get(name)
            assert blob is not None, "it was made just now"
            (folder / f"{invoice.number}{Path(name).suffix}").write_bytes(blob.data)
        consumer = await app.access.store.consumer(invoice.consumer_id)
        assert consumer is not None, "consumers are never deleted"
        for proof in invoice.records:
            with (folder / f"{invoice.number}.records-{proof.period}.csv").open("wb") as file:
                async for piece in export_csv(proven_records(app.ports.documents, consumer, proof)):
                    file.write(piece)


def _may_be_early(app: Application) -> bool:
    """On a developer's machine a month is closed to look at its invoices."""
    return app.settings.ams_profile == "local"


async def _invoices(app: Application, of: Close) -> list[Invoice]:
    found: list[Invoice] = []
    cursor = None
    while True:
        where = (Where("period", "=", of.period),)
        page = await app.billing.invoice_store.merchant_invoices(of.merchant_id, where, 1_000, cursor)
        found += [stored.value for stored in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


def _print(found: list[Closed]) -> None:
    console = Console(highlight=False)
    for one in found:
        for pseudonym, reason in sorted(one.close.held.items()):
            errors.print(f"held: {pseudonym}: {reason}")
        title = f"{one.close.merchant_id}, {one.close.period}"
        if not one.invoices:
            console.print(f"{title}: nothing to bill")
            continue
        for currency, invoices in sorted(_by_currency(one.invoices).items()):
            _print_invoices(console, title, currency, invoices)
        console.print(f"documents: blobs invoices/{one.close.merchant_id}/…", soft_wrap=True)


def _by_currency(invoices: Sequence[Invoice]) -> dict[str, list[Invoice]]:
    found: defaultdict[str, list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        found[invoice.currency].append(invoice)
    return found


def _print_invoices(console: Console, title: str, currency: str, invoices: Sequence[Invoice]) -> None:
    table = Table(title=title, title_justify="left")
    for name in ("number", "consumer", "lines", "total", "due"):
        table.add_column(name, justify="left" if name in ("number", "consumer") else "right", no_wrap=True)
    shown = sorted(invoices, key=lambda invoice: (-invoice.total, invoice.number))[:INVOICES_SHOWN]
    for invoice in shown:
        money = (money_text(amount, currency) for amount in (invoice.total, invoice.amount_due))
        table.add_row(invoice.number, invoice.buyer.name, str(len(invoice.lines)), *money)
    console.print(table)
    if len(invoices) > len(shown):
        console.print(f"and {len(invoices) - len(shown)} smaller ones")
    total = money_text(sum((invoice.total for invoice in invoices), ZERO), currency)
    console.print(f"{counted(len(invoices), 'invoice')}, {total} {currency} in total")
