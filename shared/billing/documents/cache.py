"""The cache of documents of invoices and credit notes: each is made when it is first asked for, and kept in the blob
store under a name that never means anything else."""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Literal

from shared.billing.documents.csv import render_csv, render_note_csv
from shared.billing.documents.einvoice import render_note_xml, render_xml
from shared.billing.documents.json import frozen, render_json, render_note_json
from shared.billing.invoices.models import CreditNote, Invoice
from shared.platform.blobs import BlobExists, Blobs

InvoiceFormat = Literal["pdf", "csv", "json", "xml"]
Side = Literal["buyer", "merchant"]
CONTENT_TYPES: dict[InvoiceFormat, str] = {
    "pdf": "application/pdf",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "xml": "application/xml",
}


class DocumentCache:
    """Renders each document once, and keeps it in the blob store. Who makes a document at the same time makes the same
    bytes, so whoever is first is right."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, invoice: Invoice, format: InvoiceFormat, side: Side = "buyer") -> str:
        """Name the blob of an invoice's document. It is made if it is not there. Raises BlobsUnavailable; ValueError
        for a draft, which has no documents."""
        if not invoice.number:
            raise ValueError("a draft has no documents")
        name = f"invoices/{invoice.merchant_id}/{invoice.id}/{invoice.number}.{side}.{format}"
        return await self._render_once(name, format, invoice.logo, partial(_render, frozen(invoice), format, side))

    async def get_note(self, note: CreditNote, format: InvoiceFormat, logo: str | None) -> str:
        """Name the blob of a credit note's document, which is made if it is not there; `logo` is that of the note's
        invoice. Raises BlobsUnavailable."""
        name = f"invoices/{note.merchant_id}/{note.invoice_id}/{note.number}.{format}"
        return await self._render_once(name, format, logo, partial(_render_note, note, format))

    async def _render_once(
        self, name: str, format: InvoiceFormat, logo: str | None, render: Callable[[bytes | None], bytes]
    ) -> str:
        if name not in [found async for found in self._blobs.list(name)]:
            drawn = await self._blobs.get(logo) if logo is not None and format == "pdf" else None
            data = await asyncio.to_thread(render, None if drawn is None else drawn.data)
            with contextlib.suppress(BlobExists):
                await self._blobs.put(name, data, content_type=CONTENT_TYPES[format])
        return name


def _render(invoice: Invoice, format: InvoiceFormat, side: Side, logo: bytes | None) -> bytes:
    """reportlab is imported by the first PDF only."""
    merchants_side = side == "merchant"
    if format == "json":
        return render_json(invoice, merchants_side=merchants_side)
    if format == "csv":
        return render_csv(invoice, merchants_side=merchants_side)
    if format == "xml":
        return render_xml(invoice)
    from shared.billing.documents.invoice_pdf import render_pdf

    return render_pdf(invoice, logo, merchants_side=merchants_side)


def _render_note(note: CreditNote, format: InvoiceFormat, logo: bytes | None) -> bytes:
    if format == "json":
        return render_note_json(note)
    if format == "csv":
        return render_note_csv(note)
    if format == "xml":
        return render_note_xml(note)
    from shared.billing.documents.credit_note_pdf import render_note_pdf

    return render_note_pdf(note, logo)
