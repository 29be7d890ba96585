"""Where an invoice's documents are: made when first asked for, kept under a name that never means anything else."""

import asyncio
import contextlib
from typing import Literal

from shared.billing.documents.canonical import frozen, render_json
from shared.billing.documents.einvoice import render_xml
from shared.billing.documents.table import render_csv
from shared.billing.models import Invoice
from shared.platform.blobs import BlobExists, Blobs

Format = Literal["pdf", "csv", "json", "xml"]
Side = Literal["buyer", "merchant"]
CONTENT_TYPES: dict[Format, str] = {
    "pdf": "application/pdf", "csv": "text/csv; charset=utf-8", "json": "application/json", "xml": "application/xml",
}  # fmt: skip


class Shelf:
    """One per process. Who makes a document at the same time makes the same bytes, so whoever is first is right."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def get(self, invoice: Invoice, format: Format, side: Side = "buyer") -> str:
        """The blob's name. It is made if it is not there. Raises BlobsUnavailable; ValueError for a draft, which has no
        documents."""
        if not invoice.number:
            raise ValueError("a draft has no documents")
        name = f"invoices/{invoice.merchant_id}/{invoice.id}/{invoice.number}.{side}.{format}"
        if await self._blobs.get(name) is None:
            logo = None if invoice.logo is None else await self._blobs.get(invoice.logo)
            picture = None if logo is None else logo.data
            data = await asyncio.to_thread(_render, frozen(invoice), picture, format, side)
            with contextlib.suppress(BlobExists):
                await self._blobs.put(name, data, content_type=CONTENT_TYPES[format])
        return name


def _render(invoice: Invoice, logo: bytes | None, format: Format, side: Side) -> bytes:
    """reportlab is imported by the first PDF only."""
    merchants_side = side == "merchant"
    if format == "json":
        return render_json(invoice, merchants_side=merchants_side)
    if format == "csv":
        return render_csv(invoice, merchants_side=merchants_side)
    if format == "xml":
        return render_xml(invoice)
    from shared.billing.documents.pdf import render_pdf

    return render_pdf(invoice, logo, merchants_side=merchants_side)
