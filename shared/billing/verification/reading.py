"""Reading an invoice back from its PDF or JSON, for whoever wants to check it.

A PDF says the same thing twice: in its pages, which people read, and in its attachment, which is computed again. So the
pages are drawn once more from the attachment, and must come out the same, byte for byte.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import ValidationError
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from shared.billing.documents.invoice_pdf import render_pdf
from shared.billing.documents.json import parse_json, render_json
from shared.billing.invoices.models import Invoice
from shared.billing.verification.recompute import InvoiceDifference
from shared.kernel.errors import Problem
from shared.metering.windows import window

JSON_ATTACHMENT, LOGO_ATTACHMENT = "invoice.json", "logo"


class InvoiceUnreadable(ValueError):
    """Not an invoice of AMS; the message says why."""


@dataclass(frozen=True, slots=True)
class OpenedInvoice:
    """An invoice that was read from a file. `differences` are those between a PDF's pages and its attachment."""

    invoice: Invoice
    differences: tuple[InvoiceDifference, ...] = ()


def open_invoice(path: Path) -> OpenedInvoice:
    """Read an invoice from its PDF or JSON. Raises InvoiceUnreadable; OSError."""
    data = path.read_bytes()
    if not data.startswith(b"%PDF"):
        return OpenedInvoice(_parse(data, path.name))
    files = _attachments(path)
    if JSON_ATTACHMENT not in files:
        raise InvoiceUnreadable(f"{path.name} carries no {JSON_ATTACHMENT}: it is not an invoice of AMS")
    invoice, logo = _parse(files[JSON_ATTACHMENT], f"{path.name}: {JSON_ATTACHMENT}"), files.get(LOGO_ATTACHMENT)
    merchants_side = files[JSON_ATTACHMENT] == render_json(invoice, merchants_side=True)
    if render_pdf(invoice, logo, merchants_side=merchants_side) == data:
        return OpenedInvoice(invoice)
    return OpenedInvoice(invoice, (_where_pages_differ(path, invoice, logo, merchants_side=merchants_side),))


def _attachments(path: Path) -> dict[str, bytes]:
    try:
        with PdfReader(path) as reader:
            return {name: contents[0] for name, contents in reader.attachments.items()}
    except (PyPdfError, KeyError, TypeError, ValueError) as error:
        raise InvoiceUnreadable(f"{path.name} cannot be read as a PDF: {error}") from None


def _parse(data: bytes, name: str) -> Invoice:
    try:
        invoice = parse_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise InvoiceUnreadable(f"{name} is not an invoice: {where}: {first['msg']}") from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise InvoiceUnreadable(f"{name} is not an invoice: neither PDF nor JSON") from None
    except (ValueError, RecursionError) as error:
        raise InvoiceUnreadable(f"{name} is not an invoice: {error}") from None
    _check_periods(invoice, name)
    return invoice


def _check_periods(invoice: Invoice, name: str) -> None:
    """Refuse what is no stretch of days in a time zone: nothing can be computed for it."""
    stretches = [(invoice.start, invoice.end, invoice.time_zone)]
    stretches += [(proof.start, proof.end, proof.time_zone) for proof in invoice.records]
    for start, end, zone in stretches:
        try:
            window(start, end, "day", ZoneInfo(zone))
        except (Problem, ValueError, ZoneInfoNotFoundError, OSError):
            raise InvoiceUnreadable(f"{name} is not an invoice: {start} to {end}, {zone}, is no period") from None


def _where_pages_differ(path: Path, invoice: Invoice, logo: bytes | None, *, merchants_side: bool) -> InvoiceDifference:
    """The first printed line that is not what the attachment says."""
    again = io.BytesIO(render_pdf(invoice, logo, merchants_side=merchants_side))
    printed, drawn = _text(path), _text(again)
    for number, (mine, theirs) in enumerate(zip(printed, drawn, strict=False), 1):
        if mine != theirs:
            return InvoiceDifference(where=f"printed line {number}", printed=repr(mine), computed=repr(theirs))
    if len(printed) != len(drawn):
        return InvoiceDifference(where="number of printed lines", printed=str(len(printed)), computed=str(len(drawn)))
    return InvoiceDifference(
        where="the file's bytes",
        printed="something other",
        computed="the same words: another version may have drawn it",
    )


def _text(file: object) -> list[str]:
    try:
        with PdfReader(file) as reader:  # type: ignore[arg-type]  # a path or bytes
            return [line for page in reader.pages for line in page.extract_text().splitlines()]
    except (PyPdfError, KeyError, TypeError, ValueError):
        return []
