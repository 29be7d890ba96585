"""An invoice from what it rests on: pure functions, the same for previews, the month's close and verification.

A charge is rated over the period in as many lines as plan versions were in force, each going on where the one before
left off. What is charged by the period (base fee, minimum, maximum) is shared by days: a version in force for 10 of 31
days has 10/31 of it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from shared.billing.charges import Charge, Percentage, charge_key, is_sum
from shared.billing.invoices.models import CreditUse, Invoice, Line, StepRow
from shared.billing.prices.models import UsedPlan
from shared.billing.rating import Rated, Usage, rate
from shared.billing.tax.models import TaxLine
from shared.kernel.money import EXACT, ZERO, round_money


class Figures(Protocol):
    """What was used in [start, end), whole local days of a period."""

    def quantity(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Decimal: ...

    def amounts(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Sequence[Decimal]:
        """Of each event in order, for a percentage."""
        ...

    def used(self, service_id: str, start: datetime, end: datetime) -> bool:
        """Whether there was any usage."""
        ...


def invoice_id(merchant_id: str, consumer_id: str, period: str, currency: str) -> str:
    """What makes an invoice unique, and does not tell a merchant who the consumer is."""
    identity = "\0".join((merchant_id, consumer_id, period, currency))
    return f"inv_{sha256(identity.encode()).hexdigest()[:32]}"


_Key = tuple[str, str, str, str]
_UNITS = {"request_mb": "MB", "response_mb": "MB", "data_mb": "MB", "active_minutes": "min"}


@dataclass(slots=True)
class _Running:
    """Where a charge stands after its lines so far. `unbounded` is what was billed of `billed` without a maximum,
    `capped` what a maximum took off, `at_zero` whether a line had the fee that is due without usage."""

    quantity: Decimal = ZERO
    events: list[Decimal] = field(default_factory=list)
    billed: Decimal = ZERO
    unbounded: Decimal = ZERO
    capped: Decimal = ZERO
    at_zero: bool = False

    def add(self, charge: Charge, usage: Usage, rated: Rated) -> None:
        self.quantity += usage.quantity
        self.events += usage.events or ()
        self.billed += rated.total
        if charge.maximum_spend is None:
            self.unbounded += rated.total
        self.capped += rated.capped
        self.at_zero |= getattr(charge, "flat_fee_at_zero", False)


def compute_lines(
    plans: Sequence[UsedPlan], zone: str, period_days: int, figures: Figures, *, empty: bool = False
) -> list[Line]:
    """Lines of one period, by service, plan version and place in the plan. Those without usage and money are left out,
    unless they are asked for, as `corrections` needs them.

    `plans` are the versions in force in the period, of one currency; `period_days` how many local days it has.
    """
    by_service: defaultdict[str, list[UsedPlan]] = defaultdict(list)
    for used in plans:
        by_service[used.plan.service_id].append(used)
    lines: list[Line] = []
    with localcontext(EXACT):
        for service_id in sorted(by_service):
            pieces = sorted(by_service[service_id], key=lambda used: used.start)
            lines += _service_lines(pieces, ZoneInfo(zone), period_days, figures, empty=empty)
    return lines


def _service_lines(
    pieces: list[UsedPlan], zone: ZoneInfo, period_days: int, figures: Figures, *, empty: bool
) -> list[Line]:
    """Of one service, whose versions `pieces` are in order."""
    service_id = pieces[0].plan.service_id
    used = any(figures.used(service_id, piece.start, piece.end) for piece in pieces)
    if not used and not any(piece.subscribed for piece in pieces):
        return []
    days = [(piece.end.astimezone(zone).date() - piece.start.astimezone(zone).date()).days for piece in pieces]
    keyed = [{charge_key(charge): charge for charge in piece.plan.charges} for piece in pieces]
    running: defaultdict[_Key, _Running] = defaultdict(_Running)
    lines = []
    for index, piece in enumerate(pieces):
        for key, charge in keyed[index].items():
            versions = {n: known[key] for n, known in enumerate(keyed) if key in known}
            last = index == max(versions)
            if not is_sum(charge) and not last:
                continue  # its last version is applied to all of it
            stretch = [index] if is_sum(charge) else list(versions)
            start = pieces[stretch[0]].start
            stands = running[key]
            usage = _usage(
                charge,
                service_id,
                start,
                piece.end,
                stands,
                figures,
                base_fee_share=Decimal(sum(days[n] for n in stretch)) / period_days,
                is_last=last,
            )
            of = [(other if is_sum(charge) else charge, days[n]) for n, other in versions.items()]
            rated = rate(_bounded(charge, of, period_days, stands), usage, piece.plan.currency)
            stands.add(charge, usage, rated)
            if empty or usage.quantity or rated.amount or rated.total:
                lines.append(_line(piece, start, charge, usage, rated))
    return lines


def _usage(
    charge: Charge,
    service_id: str,
    start: datetime,
    end: datetime,
    stands: _Running,
    figures: Figures,
    *,
    base_fee_share: Decimal,
    is_last: bool,
) -> Usage:
    events = figures.amounts(charge, service_id, start, end) if isinstance(charge, Percentage) else None
    quantity = figures.quantity(charge, service_id, start, end) if events is None else sum(events, ZERO)
    return Usage(
        quantity,
        stands.quantity,
        stands.billed,
        events=events,
        pre_events=tuple(stands.events),
        base_fee_share=base_fee_share,
        is_first=not stands.at_zero,
        is_last=is_last,
        previously_capped=stands.capped,
    )


def _bounded(charge: Charge, versions: Sequence[tuple[Charge, int]], period_days: int, stands: _Running) -> Charge:
    """With the period's bounds: of what each version says, the share of its days. A maximum is of what is billed under
    versions that have one."""
    least = [charge.minimum_spend * days for charge, days in versions if charge.minimum_spend is not None]
    most = [charge.maximum_spend * days for charge, days in versions if charge.maximum_spend is not None]
    bounds = {
        "minimum_spend": sum(least, ZERO) / period_days if least else None,
        "maximum_spend": stands.unbounded + sum(most, ZERO) / period_days if charge.maximum_spend is not None else None,
    }
    return charge.model_copy(update=bounds)


def _line(piece: UsedPlan, start: datetime, charge: Charge, usage: Usage, rated: Rated) -> Line:
    plan = piece.plan
    return Line(
        service_id=plan.service_id,
        service_name=piece.service_name,
        plan_number=plan.number,
        charge_id=charge.id,
        description=charge.name,
        metric=charge.metric or "",
        unit=charge.unit or _UNITS.get(charge.metric or "", ""),
        start=start,
        end=piece.end,
        quantity=usage.quantity,
        billed_quantity=rated.billed_quantity,
        steps=tuple(StepRow(**asdict(step)) for step in rated.steps),
        amount_exact=rated.amount,
        amount=rated.rounded,
        discount=rated.discount,
        top_up=rated.commitment_top_up,
        net=rated.total,
    )


Billed = Mapping[tuple[str, str, datetime], tuple[Decimal, Decimal]]
"""By service, charge and start of a line of an earlier period: quantity and net amount that were billed for it."""


def billed(period: str, invoices: Iterable[Invoice]) -> Billed:
    """What a period's own invoice and the corrections of later ones amount to, of one consumer in one currency."""
    found: dict[tuple[str, str, datetime], tuple[Decimal, Decimal]] = {}
    for invoice in invoices:
        for line in invoice.lines:
            if (line.corrects or invoice.period) == period:
                key = (line.service_id, line.charge_id, line.start)
                quantity, net = found.get(key, (ZERO, ZERO))
                found[key] = (quantity + line.quantity, net + line.net)
    return found


def corrections(period: str, should: Sequence[Line], before: Billed) -> list[Line]:
    """Lines that bring what was billed for an earlier period to what its usage costs as it is counted now: signed, one
    for each charge that differs. `should` has the empty ones too: a minimum that was billed may be due no more."""
    lines = []
    for line in should:
        quantity, net = before.get((line.service_id, line.charge_id, line.start), (ZERO, ZERO))
        if line.net == net:
            continue
        rows = (
            StepRow(label=f"{period}, as counted now", quantity=line.quantity, amount=line.net),
            StepRow(label="billed before", quantity=quantity, amount=-net),
        )
        changed = {
            "quantity": line.quantity - quantity,
            "billed_quantity": line.quantity - quantity,
            "steps": rows,
            "amount_exact": line.net - net,
            "amount": line.net - net,
            "discount": ZERO,
            "top_up": ZERO,
            "net": line.net - net,
            "corrects": period,
            "quantity_before": quantity,
            "billed_before": net,
        }
        lines.append(line.model_copy(update=changed))
    return lines


class Totals(NamedTuple):
    subtotal: Decimal
    discounts: Decimal
    top_ups: Decimal
    net: Decimal
    total: Decimal
    credits: tuple[CreditUse, ...]
    carried: Decimal
    amount_due: Decimal


def total_up(lines: Sequence[Line], taxes: Sequence[TaxLine], credit: Sequence[CreditUse], currency: str) -> Totals:
    """`credit` is what the consumer has, oldest first; as much of it is used as there is to pay."""
    subtotal = sum((line.amount for line in lines), ZERO)
    discounts = sum((line.discount for line in lines), ZERO)
    top_ups = sum((line.top_up for line in lines), ZERO)
    net = subtotal - discounts + top_ups
    total = net + sum((tax.amount for tax in taxes), ZERO)
    left, uses = max(total, ZERO), []
    for each in credit:
        use = min(left, each.amount)
        if use:
            uses.append(CreditUse(note_number=each.note_number, amount=round_money(use, currency)))
            left -= use
    carried = max(-total, ZERO)

    def rounded(amount: Decimal) -> Decimal:
        return round_money(amount, currency)  # exact already; this gives it the currency's digits

    return Totals(
        rounded(subtotal),
        rounded(discounts),
        rounded(top_ups),
        rounded(net),
        rounded(total),
        tuple(uses),
        rounded(carried),
        rounded(left),
    )


def commission_of(net: Decimal, percent: Decimal, currency: str) -> Decimal:
    """The platform's share of what a merchant sells, without tax; rounded once."""
    with localcontext(EXACT):
        return round_money(net * percent / 100, currency)
