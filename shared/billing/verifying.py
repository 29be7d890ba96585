"""Recomputing an invoice from its raw records, with nothing but the two: what a customer does on another machine.

The records say how much was used, the invoice which plans were in force and who was billed by whom; everything else is
computed again by the same pure functions, and compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from shared.billing.computing import Billed, compute_lines, corrections, total_up
from shared.billing.models import Invoice, Line, RecordsProof, UsedPlan
from shared.billing.months import MonthUsage
from shared.billing.records import parse_csv
from shared.billing.tax import tax_lines, treatment
from shared.billing.usage import PeriodSums
from shared.kernel.money import ZERO, decimal_text
from shared.kernel.periods import Period


@dataclass(frozen=True, slots=True)
class Difference:
    """`where` names the line or field, as one finds it on the invoice."""

    where: str
    printed: str
    computed: str

    def __str__(self) -> str:
        return f"{self.where}: the invoice says {self.printed}, the records say {self.computed}"


def verify(invoice: Invoice, files: Iterable[Path]) -> list[Difference]:
    """What differs; nothing when the invoice is right. `files` are exports of records, one for each period that the
    invoice rests on, in any order. Raises RecordsError for a file that is no export; OSError."""
    found, by_hash = [], {sha256(path.read_bytes()).hexdigest(): path for path in files}
    usages: dict[str, MonthUsage] = {}
    for proof in invoice.records:
        path = by_hash.get(proof.sha256)
        if path is None:
            others = ", ".join(sorted(by_hash)) or "no file"
            found.append(Difference(f"records of {proof.period}, SHA-256", proof.sha256, others))
            continue
        usages[proof.period] = usage = _usage(proof, _plans(invoice, proof.period), path)
        counted = usage.proof(invoice.currency, proof.service_ids).count
        found += _compare(f"records of {proof.period}, count", str(proof.count), str(counted))
    if found:
        return found
    lines = _lines(invoice, usages)
    return _compare_lines(invoice, lines) + _compare_totals(invoice, lines) + _compare_days(invoice, usages)


def _plans(invoice: Invoice, period: str) -> tuple[UsedPlan, ...]:
    return tuple(used for used in invoice.plans if used.period == period)


def _usage(proof: RecordsProof, plans: Sequence[UsedPlan], path: Path) -> MonthUsage:
    sums = PeriodSums(Period(proof.period, proof.start, proof.end, proof.time_zone))
    usage = MonthUsage(sums, plans)
    with path.open(newline="", encoding="utf-8") as lines:
        for event in parse_csv(lines):
            usage.add_record(event)
            sums.add_event(event)
    return usage


def _lines(invoice: Invoice, usages: Mapping[str, MonthUsage]) -> list[Line]:
    lines: list[Line] = []
    for period, usage in usages.items():
        of = usage.sums.period
        should = compute_lines(_plans(invoice, period), of.zone, of.days, usage)
        lines += should if period == invoice.period else corrections(period, should, _before(invoice, period))
    return lines


def _before(invoice: Invoice, period: str) -> Billed:
    """What was billed before, as far as the invoice says so: of what it does not correct, it was right."""
    return {
        (line.service_id, line.charge_id, line.start): (line.quantity_before or ZERO, line.billed_before or ZERO)
        for line in invoice.lines
        if line.corrects == period
    }


def _compare(where: str, printed: str, computed: str) -> list[Difference]:
    return [] if printed == computed else [Difference(where, printed, computed)]


_SHOWN = ("description", "metric", "unit", "start", "end", "quantity", "billed_quantity", "steps", "amount_exact",
          "amount", "discount", "top_up", "net")  # fmt: skip


def _compare_lines(invoice: Invoice, computed: Sequence[Line]) -> list[Difference]:
    def key(line: Line) -> tuple[str, ...]:
        return line.corrects or "", line.service_id, line.charge_id, str(line.start)

    found: list[Difference] = []
    by_key = {key(line): line for line in computed}
    for number, line in enumerate(invoice.lines, 1):
        where = f"line {number} ({line.service_name}, {line.description})"
        other = by_key.pop(key(line), None)
        if other is None:
            found.append(Difference(where, f"{decimal_text(line.net)}", "no such line"))
            continue
        printed, again = line.model_dump(mode="json"), other.model_dump(mode="json")
        for name in _SHOWN:
            found += _compare(f"{where}, {name}", str(printed[name]), str(again[name]))
    for line in by_key.values():
        if line.corrects is None:  # of an earlier period, what is not corrected was right
            found.append(Difference(f"{line.service_name}, {line.description}", "no such line", decimal_text(line.net)))
    return found


def _compare_totals(invoice: Invoice, lines: Sequence[Line]) -> list[Difference]:
    net = sum((line.net for line in lines), ZERO)
    taxes = tax_lines(treatment(invoice.seller, invoice.buyer), net, invoice.currency)
    totals = total_up(lines, taxes, invoice.credits, invoice.currency)
    found = _compare("number of taxes", str(len(invoice.taxes)), str(len(taxes)))
    for printed, computed in zip(invoice.taxes, taxes, strict=False):
        found += _compare(f"tax {printed.name}", printed.model_dump_json(), computed.model_dump_json())
    for name in ("subtotal", "discounts", "top_ups", "net", "total", "carried", "amount_due"):
        printed_amount, amount = getattr(invoice, name), getattr(totals, name)
        found += _compare(name.replace("_", " "), decimal_text(printed_amount), decimal_text(amount))
    return found


def _compare_days(invoice: Invoice, usages: Mapping[str, MonthUsage]) -> list[Difference]:
    """The chart."""
    usage = usages.get(invoice.period)
    if usage is None:
        return []
    services = tuple(sorted({used.plan.service_id for used in _plans(invoice, invoice.period)}))
    computed = {day.day: day.requests for day in usage.requests_by_day(services)}
    found: list[Difference] = []
    for day in invoice.days:
        found += _compare(f"requests on {day.day}", str(day.requests), str(computed.get(day.day, 0)))
    return found
