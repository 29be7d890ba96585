"""Recompute an invoice from its raw records, offline: nothing is asked of AMS (docs/verify-invoice.md)."""

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from scripts.terminal import counted
from shared.billing.usage.records import RecordsError
from shared.billing.verification.reading import InvoiceUnreadable, open_invoice
from shared.billing.verification.recompute import verify
from shared.kernel.money import money_text

DIFFERS, UNUSABLE = 1, 2
"""Exit codes: something is not as the records say; nothing was compared."""

_errors = Console(stderr=True, soft_wrap=True, highlight=False)


def main(
    file: Annotated[Path, typer.Argument(help="The invoice: its PDF or its JSON.")],
    records: Annotated[list[Path], typer.Option(help="Its records as CSV; once for each period that it names.")],
) -> None:
    """Say whether an invoice is what its records cost, and if not, which line differs."""
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # what is wrong with a file is said once, by name
    try:
        opened = open_invoice(file)
        differences = [*opened.differences, *verify(opened.invoice, records)]
    except (InvoiceUnreadable, RecordsError) as error:
        raise _failure(str(error)) from None
    except OSError as error:
        raise _failure(f"{error.filename}: {error.strerror}") from None
    invoice = opened.invoice
    for difference in differences:
        _errors.print(str(difference), markup=False)
    if differences:
        _errors.print(f"{invoice.number} differs in {counted(len(differences), 'place')}", markup=False)
        raise typer.Exit(DIFFERS)
    records_read = counted(sum(proof.count for proof in invoice.records), "record")
    total = f"{money_text(invoice.total, invoice.currency)} {invoice.currency}"
    typer.echo(f"{invoice.number} is right: {counted(len(invoice.lines), 'line')}, {total}, from {records_read}")


def _failure(message: str) -> typer.Exit:
    _errors.print(message, markup=False)
    return typer.Exit(UNUSABLE)


if __name__ == "__main__":
    typer.run(main)
