"""Recompute an invoice from its raw records, offline: nothing is asked of AMS (docs/verify-invoice.md)."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from scripts.terminal import counted, errors, failure
from shared.billing.usage.records import RecordsError
from shared.billing.verification.reading import InvoiceUnreadable, open_invoice
from shared.billing.verification.recompute import verify_invoice
from shared.kernel.money import money_text

DIFFERS, UNUSABLE = 1, 2
"""Exit codes: something is not as the records say; nothing was compared."""

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: scripts/ams verify-invoice ACME26-000001.pdf --records ACME26-000001.records-2026-10.csv")
def main(
    file: Annotated[Path, typer.Argument(help="The invoice: its PDF or its JSON.")],
    records: Annotated[list[Path], typer.Option(help="Its records as CSV; once for each period that it names.")],
) -> None:
    """Say whether an invoice is what its records cost, and if not, which line differs."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by name
    try:
        opened = open_invoice(file)
        differences = [*opened.differences, *verify_invoice(opened.invoice, records)]
    except (InvoiceUnreadable, RecordsError) as error:
        raise failure(str(error), UNUSABLE) from None
    except OSError as error:
        raise failure(f"{error.filename}: {error.strerror}", UNUSABLE) from None
    invoice = opened.invoice
    for difference in differences:
        errors.print(str(difference))
    if differences:
        raise failure(f"{invoice.number} differs in {counted(len(differences), 'place')}", DIFFERS)
    records_read = counted(sum(proof.count for proof in invoice.records), "record")
    total = f"{money_text(invoice.total, invoice.currency)} {invoice.currency}"
    typer.echo(f"{invoice.number} is right: {counted(len(invoice.lines), 'line')}, {total}, from {records_read}")
