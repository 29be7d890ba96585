"""Recomputing an invoice from its raw records, with nothing but the two: what a customer does on another machine.

The records say how much was used, the invoice which plans were in force and who was billed by whom; everything else is
computed again by the same pure functions, and compared.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

from shared.billing.invoices.corrections import BilledLines, correction_lines
from shared.billing.invoices.lines import compute_lines
from shared.billing.invoices.models import Invoice, Line
from shared.billing.invoices.totals import commission_of, total_up
from shared.billing.prices.models import UsedPlan
from shared.billing.tax.models import TaxLine
from shared.billing.tax.rules import tax_lines, treatment
from shared.billing.usage.models import RecordsProof
from shared.billing.usage.month import MonthUsage
from shared.billing.usage.records import RecordsError, parse_csv
from shared.billing.usage.sums import PeriodSums
from shared.kernel.clock import parse_time
from shared.kernel.money import ZERO, decimal_text, round_money
from shared.kernel.periods import Period
from shared.metering.events import UsageEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceDifference:
    """One thing that the invoice and the records say differently. `where` names the line or field, as one finds it on
    the invoice."""

    where: str
    printed: str
    computed: str

    def __str__(self) -> str:
        return f"{self.where}: the invoice says {self.printed}, the records say {self.computed}"


def verify_invoice(invoice: Invoice, files: Iterable[Path]) -> list[InvoiceDifference]:
    """Recompute an invoice and list what differs; nothing when the invoice is right. `files` are exports of records,
    one for each period that the invoice rests on, in any order. One that has another hash is still computed with, so
    that the lines that it changes are named. Raises RecordsError for a file that is no export; OSError."""
    by_hash = {sha256(path.read_bytes()).hexdigest(): path for path in files}
    rightful = {proof.sha256 for proof in invoice.records}
    others = {path: digest for digest, path in by_hash.items() if digest not in rightful}
    found = _compare_periods(invoice)
    usages: dict[str, MonthUsage] = {}
    for proof in invoice.records:
        where = f"records of {proof.period}"
        path = by_hash.get(proof.sha256) or next((path for path in others if _is_of(proof, path)), None)
        if path is None:
            of_others = f"{', '.join(others.values())}, of another month" if others else "no file"
            found.append(InvoiceDifference(where=f"{where}, SHA-256", printed=proof.sha256, computed=of_others))
            continue
        found += _compare(f"{where}, SHA-256", proof.sha256, others.get(path, proof.sha256))
        usages[proof.period] = usage = _usage(proof, _plans(invoice, proof.period), path)
        counted = usage.proof(invoice.currency, proof.service_ids).count
        found += _compare(f"{where}, count", str(proof.count), str(counted))
    if len(usages) < len(invoice.records):
        return found
    lines = _lines(invoice, usages)
    return found + _compare_lines(invoice, lines) + _compare_totals(invoice, lines) + _compare_days(invoice, usages)


def _is_of(proof: RecordsProof, path: Path) -> bool:
    """Tell whether a file's first record is of the proof's period. Raises RecordsError, also for what has the right
    name and is no export."""
    first = next(_records(path), None)
    return first is not None and proof.start <= parse_time(first.time) < proof.end


def _records(path: Path) -> Iterator[UsageEvent]:
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            yield from parse_csv(lines)
    except (RecordsError, UnicodeDecodeError) as error:
        raise RecordsError(f"{path.name} is no export of records: {error}") from None


def _compare_periods(invoice: Invoice) -> list[InvoiceDifference]:
    """The records of the invoice's own month must be those of the time that it names."""
    named = f"{invoice.start} to {invoice.end}, {invoice.time_zone}"
    own = [proof for proof in invoice.records if proof.period == invoice.period]
    return [
        difference
        for proof in own
        for difference in _compare("period", named, f"{proof.start} to {proof.end}, {proof.time_zone}")
    ]


def _plans(invoice: Invoice, period: str) -> tuple[UsedPlan, ...]:
    return tuple(used for used in invoice.plans if used.period == period)


def _usage(proof: RecordsProof, plans: Sequence[UsedPlan], path: Path) -> MonthUsage:
    sums = PeriodSums(Period(proof.period, proof.start, proof.end, proof.time_zone))
    usage = MonthUsage(sums, plans)
    for event in _records(path):
        usage.add_record(event)
        sums.add_event(event)
    return usage


def _lines(invoice: Invoice, usages: Mapping[str, MonthUsage]) -> list[Line]:
    lines: list[Line] = []
    for period, usage in usages.items():
        of = usage.sums.period
        should = compute_lines(_plans(invoice, period), of.zone, of.days, usage, empty=period != invoice.period)
        lines += should if period == invoice.period else correction_lines(period, should, _before(invoice, period))
    return lines


def _before(invoice: Invoice, period: str) -> BilledLines:
    """What was billed before, as far as the invoice says so: of what it does not correct, it was right."""
    return {
        (line.service_id, line.charge_id, line.start): (line.quantity_before or ZERO, line.billed_before or ZERO)
        for line in invoice.lines
        if line.corrects == period
    }


def _compare(where: str, printed: str, computed: str) -> list[InvoiceDifference]:
    return [] if printed == computed else [InvoiceDifference(where=where, printed=printed, computed=computed)]


_SHOWN = (
    "plan_number",
    "description",
    "metric",
    "unit",
    "start",
    "end",
    "quantity",
    "billed_quantity",
    "steps",
    "amount_exact",
    "amount",
    "discount",
    "top_up",
    "net",
)


def _compare_lines(invoice: Invoice, computed: Sequence[Line]) -> list[InvoiceDifference]:
    def key(line: Line) -> tuple[str, ...]:
        return line.corrects or "", line.service_id, line.charge_id, str(line.start)

    found: list[InvoiceDifference] = []
    by_key = {key(line): line for line in computed}
    for number, line in enumerate(invoice.lines, 1):
        where = f"line {number} ({line.service_name}, {line.description})"
        other = by_key.pop(key(line), None)
        if other is None:
            found.append(InvoiceDifference(where=where, printed=decimal_text(line.net), computed="no such line"))
            continue
        printed, recomputed = line.model_dump(mode="json"), other.model_dump(mode="json")
        for name in _SHOWN:
            found += _compare(f"{where}, {name.replace('_', ' ')}", _as_text(printed[name]), _as_text(recomputed[name]))
    for line in by_key.values():
        if line.corrects is None:  # of an earlier period, what is not corrected was right
            where = f"{line.service_name}, {line.description}"
            found.append(InvoiceDifference(where=where, printed="no such line", computed=decimal_text(line.net)))
    return found


def _as_text(value: object) -> str:
    """Write a value as one reads it: steps with their quantity, price and amount."""
    if not isinstance(value, list):
        return str(value)
    return "; ".join(f"{row['label']}: {row['quantity']} × {row['unit_price']} = {row['amount']}" for row in value)


def _tax_as_text(tax: TaxLine) -> str:
    amounts = f"{decimal_text(tax.percent)} % of {decimal_text(tax.taxable)} = {decimal_text(tax.amount)}"
    return f"{tax.name} ({tax.category}), {amounts} {tax.note}".strip()


def _compare_totals(invoice: Invoice, lines: Sequence[Line]) -> list[InvoiceDifference]:
    net = sum((line.net for line in lines), ZERO)
    taxes = tax_lines(treatment(invoice.seller, invoice.buyer), net, invoice.currency)
    totals = total_up(lines, taxes, invoice.credits, invoice.currency)
    found = _compare("number of taxes", str(len(invoice.taxes)), str(len(taxes)))
    for printed, computed in zip(invoice.taxes, taxes, strict=False):
        found += _compare(f"tax {printed.name}", _tax_as_text(printed), _tax_as_text(computed))
    for name in ("subtotal", "discounts", "top_ups", "net", "total", "carried", "amount_due"):
        printed_amount, amount = getattr(invoice, name), getattr(totals, name)
        found += _compare(name.replace("_", " "), decimal_text(printed_amount), decimal_text(amount))
    return found + _compare_commission(invoice, net)


def _compare_commission(invoice: Invoice, net: Decimal) -> list[InvoiceDifference]:
    """Compare the merchant's side; the buyer's invoice has neither commission nor net to the merchant."""
    if not (invoice.commission_percent or invoice.commission or invoice.merchant_net):
        return []
    commission = commission_of(net, invoice.commission_percent, invoice.currency)
    to_merchant = decimal_text(round_money(net, invoice.currency) - commission)
    found = _compare("commission", decimal_text(invoice.commission), decimal_text(commission))
    return found + _compare("net to the merchant", decimal_text(invoice.merchant_net), to_merchant)


def _compare_days(invoice: Invoice, usages: Mapping[str, MonthUsage]) -> list[InvoiceDifference]:
    """The chart."""
    usage = usages.get(invoice.period)
    if usage is None:
        return []
    services = tuple(sorted({used.plan.service_id for used in _plans(invoice, invoice.period)}))
    computed = {day.day: day.requests for day in usage.requests_by_day(services)}
    printed = {day.day: day.requests for day in invoice.days}
    found: list[InvoiceDifference] = []
    for day in sorted(printed.keys() | computed.keys()):
        found += _compare(f"requests on {day}", *(str(days.get(day, "no such day")) for days in (printed, computed)))
    return found
