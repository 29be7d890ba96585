"""Downloads of an invoice: its document in any format, those of its credit notes, and the records behind it."""

import contextlib

from shared.access.store import AccessStore
from shared.audit.models import Actor
from shared.billing.documents.cache import DocumentCache, InvoiceFormat, Side
from shared.billing.invoices.models import CreditNote, Invoice
from shared.billing.invoices.store import InvoiceStore
from shared.billing.usage.models import RecordsProof
from shared.billing.usage.proofs import RecordsChanged, proven_records
from shared.billing.usage.records import export_csv
from shared.downloads.service import Downloads, Link
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import not_found
from shared.platform.blobs import BlobExists, Blobs
from shared.platform.documents import Documents


class InvoiceDownloads:
    """Gives out links to documents of invoices and credit notes, and to the records behind an invoice."""

    def __init__(
        self,
        *,
        invoices: InvoiceStore,
        documents: Documents,
        access: AccessStore,
        blobs: Blobs,
        cache: DocumentCache,
        downloads: Downloads,
    ) -> None:
        self._invoices = invoices
        self._documents = documents
        self._access = access
        self._blobs = blobs
        self._cache = cache
        self._downloads = downloads

    async def of_merchant(self, actor: Actor, *, merchant_id: str, id: str, format: InvoiceFormat, side: Side) -> Link:
        """Link to an invoice's document, for the merchant, as its own `side` or the buyer's. Raises Problem 404;
        BlobsUnavailable."""
        stored = await self._invoices.invoice(merchant_id, id)
        if stored is None:
            raise not_found()
        return await self._document(actor, stored.value, format, side)

    async def of_consumer(self, actor: Actor, *, consumer_id: str, id: str, format: InvoiceFormat) -> Link:
        """Link to an invoice's document, for the consumer who was billed. Raises Problem 404; BlobsUnavailable."""
        return await self._document(actor, await self._consumers_invoice(consumer_id, id), format, "buyer")

    async def merchants_note(self, actor: Actor, *, merchant_id: str, id: str, format: InvoiceFormat) -> Link:
        """Link to a credit note's document, for the merchant. Raises Problem 404; BlobsUnavailable."""
        stored = await self._invoices.note(merchant_id, id)
        invoice = None if stored is None else await self._invoices.invoice(merchant_id, stored.value.invoice_id)
        if stored is None or invoice is None:
            raise not_found()
        return await self._note(actor, stored.value, invoice.value, format)

    async def consumers_note(
        self, actor: Actor, *, consumer_id: str, invoice_id: str, id: str, format: InvoiceFormat
    ) -> Link:
        """Link to the document of one of an invoice's credit notes, for the consumer. Raises Problem 404;
        BlobsUnavailable."""
        invoice = await self._consumers_invoice(consumer_id, invoice_id)
        stored = await self._invoices.note(invoice.merchant_id, id)
        if stored is None or stored.value.invoice_id != invoice_id:
            raise not_found()
        return await self._note(actor, stored.value, invoice, format)

    async def records(self, actor: Actor, *, consumer_id: str, id: str, period: str | None) -> Link:
        """Link to the raw records of one period that an invoice rests on, its own unless another is named, as CSV.
        Raises Problem 404; 400 for a period that it does not rest on; 410 `records_gone`; BlobsUnavailable."""
        invoice = await self._consumers_invoice(consumer_id, id)
        wanted = period or invoice.period
        proof = next((proof for proof in invoice.records if proof.period == wanted), None)
        if proof is None:
            known = ", ".join(proof.period for proof in invoice.records) or "no period"
            rule = f"must be a period that the invoice rests on: {known}"
            raise Problem(400, "request_invalid", f"`period` {rule}.", errors=(FieldError("period", rule),))
        name = f"invoices/{invoice.merchant_id}/{invoice.id}/{invoice.number}.records.{wanted}.csv"
        if name not in [found async for found in self._blobs.list(name)]:
            await self._export(consumer_id, proof, name)
        return await self._downloads.link(
            actor, f"invoice:{id}", blob_name=name, filename=f"{invoice.number}.records-{wanted}.csv"
        )

    async def _export(self, consumer_id: str, proof: RecordsProof, name: str) -> None:
        consumer = await self._access.consumer(consumer_id)
        if consumer is None:
            raise not_found()
        chunks = export_csv(proven_records(self._documents, consumer, proof))
        try:
            with contextlib.suppress(BlobExists):  # who exports at the same time writes the same bytes
                await self._blobs.put_stream(name, chunks, content_type="text/csv; charset=utf-8")
        except RecordsChanged as error:
            detail = f"Cannot be exported: {error}. They live as long as the platform keeps records."
            raise Problem(410, "records_gone", detail) from None

    async def _consumers_invoice(self, consumer_id: str, id: str) -> Invoice:
        stored = await self._invoices.consumer_invoice(consumer_id, id)
        if stored is None:
            raise not_found()
        return stored.value

    async def _document(self, actor: Actor, invoice: Invoice, format: InvoiceFormat, side: Side) -> Link:
        name = await self._cache.get(invoice, format, side)
        # What has the commission in it must not be taken for the buyer's. An e-invoice has not.
        kind = ".statement" if side == "merchant" and format != "xml" else ""
        return await self._downloads.link(
            actor, f"invoice:{invoice.id}", blob_name=name, filename=f"{invoice.number}{kind}.{format}"
        )

    async def _note(self, actor: Actor, note: CreditNote, invoice: Invoice, format: InvoiceFormat) -> Link:
        name = await self._cache.get_note(note, format, invoice.logo)
        return await self._downloads.link(
            actor, f"credit_note:{note.id}", blob_name=name, filename=f"{note.number}.{format}"
        )
