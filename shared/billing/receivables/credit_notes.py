"""Credit notes: how much of what they take back is net, how much tax, and the documents that they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

from shared.billing.invoices.models import CreditNote, Invoice, NoteShare
from shared.billing.invoices.store import note_document
from shared.billing.numbering import Numbers, financial_year, note_number, sequence_document
from shared.billing.profiles.models import BillingProfile
from shared.kernel.documents import Stored
from shared.kernel.money import EXACT, ZERO, round_money
from shared.platform.documents import Create, Operation, Replace

SERIES = "note"


@dataclass(frozen=True, slots=True)
class CreditedParts:
    """How much of a credit note is net, and how much is each tax, in the order of the invoice's."""

    net: Decimal
    taxes: tuple[Decimal, ...]


def left_of(invoice: Invoice) -> Decimal:
    """Compute how much of an invoice's total no credit note has taken back yet."""
    return invoice.total - _sum(note.total for note in invoice.notes)


def split_amount(invoice: Invoice, amount: Decimal) -> CreditedParts:
    """Split a credited amount, which is at most `left_of(invoice)`, into net and taxes. Each part follows the invoice's
    proportion as closely as whole minor units allow, is never below zero, and never more than what is left of it: notes
    over all of an invoice sum to its net and to each of its taxes, however they are cut. What rounding leaves over goes
    to the net while it can."""
    whole = (invoice.net, *(tax.amount for tax in invoice.taxes))
    taken = [_sum(note.net for note in invoice.notes)]
    taken += [_sum(note.taxes[number] for note in invoice.notes) for number in range(len(invoice.taxes))]
    left = [part - gone for part, gone in zip(whole, taken, strict=True)]
    with localcontext(EXACT):
        reached = (invoice.total - sum(left) + amount) / invoice.total
        aims = [round_money(part * reached, invoice.currency) for part in whole]
    parts = [min(max(aim - gone, ZERO), rest) for aim, gone, rest in zip(aims, taken, left, strict=True)]
    over = amount - sum(parts)
    for number, part in enumerate(parts):
        step = min(max(over, -part), left[number] - part)
        parts[number] = round_money(part + step, invoice.currency)
        over -= step
    return CreditedParts(parts[0], tuple(parts[1:]))


@dataclass(frozen=True, slots=True)
class UnnumberedNote:
    """A credit note that lacks only its number, with what its number is made from."""

    note: CreditNote
    prefix: str
    year: str

    @property
    def sequence(self) -> str:
        """The document that has the last number of the note's series."""
        return sequence_document(SERIES, self.year)

    def numbered(self, stored: Stored[Numbers] | None) -> tuple[CreditNote, Sequence[Operation]]:
        """The note with the next number; what stores it and takes the number is one transaction, so that there is
        neither a gap nor a duplicate. `held` is the sequence's document."""
        last = 1 if stored is None else stored.value.last + 1
        note = self.note.model_copy(update={"number": note_number(self.prefix, self.year, last)})
        body = Numbers(last=last).to_json()
        take = Create(self.sequence, body) if stored is None else Replace(self.sequence, body, stored.etag)
        return note, (take, Create(note_document(note.id), note.to_json()))


def write_note(
    id: str, invoice: Invoice, amount: Decimal, reason: str, profile: BillingProfile, today: date
) -> UnnumberedNote:
    """Write a credit note over `amount`, all but its number."""
    of = split_amount(invoice, amount)
    taxes = tuple(
        tax.model_copy(update={"taxable": of.net, "amount": part})
        for tax, part in zip(invoice.taxes, of.taxes, strict=True)
    )
    note = CreditNote(
        id=id,
        number="",
        invoice_id=invoice.id,
        invoice_number=invoice.number,
        invoice_issued_on=invoice.issued_on,
        merchant_id=invoice.merchant_id,
        consumer_id=invoice.consumer_id,
        pseudonym=invoice.pseudonym,
        currency=invoice.currency,
        issued_on=str(today),
        reason=reason,
        net=of.net,
        taxes=taxes,
        total=round_money(amount, invoice.currency),
        seller=invoice.seller,
        buyer=invoice.buyer,
    )
    return UnnumberedNote(note, profile.number_prefix, financial_year(today, profile.financial_year_month))


def share_of(note: CreditNote) -> NoteShare:
    """Take from a credit note what its invoice keeps of it."""
    return NoteShare(number=note.number, net=note.net, taxes=tuple(tax.amount for tax in note.taxes), total=note.total)


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, ZERO)
