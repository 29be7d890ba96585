"""Documents in the store: made once, the same for everybody who asks."""

import asyncio
from pathlib import Path
from typing import get_args

import pytest

from shared.billing.documents.cache import CONTENT_TYPES, DocumentCache, InvoiceFormat
from shared.billing.documents.invoice_pdf import render_pdf
from shared.platform.blobs import BlobsUnavailable
from shared.platform.blobs.files import FileBlobs
from tests.support.billing import document_samples as samples
from tests.support.billing.invoice_samples import make_invoice

FORMATS: tuple[InvoiceFormat, ...] = get_args(InvoiceFormat)


class ReadOnly(FileBlobs):
    async def put(self, name: str, data: bytes, *, content_type: str, overwrite: bool = False) -> None:
        raise BlobsUnavailable("away")


@pytest.fixture
def blobs(tmp_path: Path) -> FileBlobs:
    return FileBlobs(tmp_path)


@pytest.mark.parametrize("format", FORMATS)
async def test_both_sides_have_names_of_their_own(blobs: FileBlobs, format: InvoiceFormat) -> None:
    cache, invoice = DocumentCache(blobs), make_invoice()
    names = [await cache.get(invoice, format, "buyer"), await cache.get(invoice, format, "merchant")]
    assert names == [f"invoices/mer_1/inv_1/ACME26-000001.{side}.{format}" for side in ("buyer", "merchant")]
    kept = [await blobs.get(name) for name in names]
    assert all(blob is not None and blob.content_type == CONTENT_TYPES[format] for blob in kept)


@pytest.mark.parametrize("format", FORMATS)
async def test_what_is_kept_is_never_made_again(blobs: FileBlobs, tmp_path: Path, format: InvoiceFormat) -> None:
    name = await DocumentCache(blobs).get(make_invoice(), format)
    first = await blobs.get(name)
    assert await DocumentCache(ReadOnly(tmp_path)).get(make_invoice(footer="another renderer"), format) == name
    assert await blobs.get(name) == first


async def test_many_who_ask_at_once_get_one_document(blobs: FileBlobs) -> None:
    cache, invoice = DocumentCache(blobs), samples.rich()
    names = await asyncio.gather(*(cache.get(invoice, "pdf") for _ in range(12)))
    assert len(set(names)) == 1
    kept = await blobs.get(names[0])
    assert kept is not None
    assert kept.data == render_pdf(invoice, None)


async def test_the_logo_is_the_one_that_was_frozen(blobs: FileBlobs) -> None:
    await blobs.put("logos/one.png", samples.logo(), content_type="image/png")
    name = await DocumentCache(blobs).get(samples.rich(logo="logos/one.png"), "pdf")
    kept = await blobs.get(name)
    assert kept is not None
    assert kept.data == render_pdf(samples.rich(logo="logos/one.png"), samples.logo())


async def test_a_logo_that_is_gone_is_left_out(blobs: FileBlobs) -> None:
    name = await DocumentCache(blobs).get(samples.rich(logo="logos/gone.png"), "pdf")
    kept = await blobs.get(name)
    assert kept is not None
    assert kept.data == render_pdf(samples.rich(logo="logos/gone.png"), None)


@pytest.mark.parametrize("format", FORMATS)
async def test_credit_notes_lie_beside_their_invoice(blobs: FileBlobs, format: InvoiceFormat) -> None:
    name = await DocumentCache(blobs).get_note(samples.note(), format, None)
    assert name == f"invoices/mer_1/inv_1/ACME26C000001.{format}"
    kept = await blobs.get(name)
    assert kept is not None
    assert b"con_1" not in kept.data


async def test_a_draft_has_no_documents(blobs: FileBlobs) -> None:
    with pytest.raises(ValueError, match="draft"):
        await DocumentCache(blobs).get(make_invoice(number=""), "pdf")


async def test_a_store_that_is_away_says_so(tmp_path: Path) -> None:
    with pytest.raises(BlobsUnavailable):
        await DocumentCache(ReadOnly(tmp_path)).get(make_invoice(), "csv")
    assert [name async for name in FileBlobs(tmp_path).list("")] == []
