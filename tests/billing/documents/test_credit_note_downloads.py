"""Documents of credit notes over the API."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.platform.blobs.links import PATH
from tests.support.api.harness import Person
from tests.support.api.invoice_market import MERCHANT, InvoiceMarket


@pytest.fixture
async def note(bills: InvoiceMarket) -> dict[str, Any]:
    """Over 20 of Ann's 119 euros."""
    await bills.issue()
    answer = await bills.credit("20")
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()
    return given


async def _download(bills: InvoiceMarket, person: Person, path: str) -> tuple[bytes, str]:
    answer = await person.get(path)
    assert answer.status_code == 200, answer.text
    parts, links = urlsplit(answer.json()["url"]), bills.api.app.ports.local_downloads
    assert links is not None
    found = await links.open(parts.path.removeprefix(PATH), dict(parse_qsl(parts.query)))
    assert found is not None
    return b"".join([chunk async for chunk in found.opened.chunks]), dict(found.headers)["Content-Disposition"]


def _merchants(note: dict[str, Any], format: str = "pdf") -> str:
    return f"{MERCHANT}/credit-notes/{note['id']}/documents/{format}"


def _consumers(bills: InvoiceMarket, note: dict[str, Any], invoice_id: str = "inv_1") -> str:
    return f"{bills.market.consumer}/invoices/{invoice_id}/credit-notes/{note['id']}/documents/pdf"


@pytest.mark.parametrize(
    ("format", "begins"), [("pdf", b"%PDF-"), ("csv", b"kind,"), ("json", b"{"), ("xml", b"<?xml")]
)
async def test_merchants_and_admins_get_every_format(
    bills: InvoiceMarket, note: dict[str, Any], format: str, begins: bytes
) -> None:
    for person in (bills.mia, bills.root):
        body, disposition = await _download(bills, person, _merchants(note, format))
        assert body.startswith(begins)
        assert bills.market.consumer_id.encode() not in body
        assert disposition == f'attachment; filename="{note["number"]}.{format}"'


async def test_the_consumer_gets_the_same_file(bills: InvoiceMarket, note: dict[str, Any]) -> None:
    assert await _download(bills, bills.ann, _consumers(bills, note)) == await _download(
        bills, bills.mia, _merchants(note)
    )


async def test_each_link_is_in_the_audit_log(bills: InvoiceMarket, note: dict[str, Any]) -> None:
    await bills.mia.get(_merchants(note))
    await bills.api.drain()
    (entry,) = await bills.audited("credit_note.download")
    assert entry["resource"] == f"credit_note:{note['id']}"


async def test_what_is_not_ones_own_is_not_there(bills: InvoiceMarket, note: dict[str, Any]) -> None:
    eve = await bills.api.sign_in("Eve")
    await bills.issue(2)
    for person, path in (
        (eve, _merchants(note)),
        (eve, _consumers(bills, note)),
        (eve, f"{bills.consumer(eve)}/invoices/inv_1/credit-notes/{note['id']}/documents/pdf"),
        (bills.ann, _consumers(bills, note, "inv_2")),
        (bills.ann, _consumers(bills, {"id": "crn_none"})),
        (bills.mia, _merchants({"id": "crn_none"})),
        (bills.root, _merchants({"id": "crn_none"})),
    ):
        answer = await person.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path


async def test_no_other_format(bills: InvoiceMarket, note: dict[str, Any]) -> None:
    answer = await bills.mia.get(_merchants(note, "docx"))
    assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")
