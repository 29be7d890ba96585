"""Lines of an invoice: what a period's usage costs under the plans in force. Pure functions, the same for previews, the
month's close and verification.

A charge is rated over the period in as many lines as plan versions were in force, each going on where the one before
left off. What is charged by the period (base fee, minimum, maximum) is shared by days: a version in force for 10 of 31
days has 10/31 of it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Protocol
from zoneinfo import ZoneInfo

from shared.billing.charges import Charge, PercentageCharge, charge_key, is_sum
from shared.billing.invoices.models import Line, StepRow
from shared.billing.prices.models import UsedPlan
from shared.billing.rating import Rated, Usage, rate
from shared.kernel.money import EXACT, ZERO


class PeriodUsage(Protocol):
    """What was used in [start, end), whole local days of a period."""

    def quantity(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Decimal:
        """How much the charge counts, in its metric's unit."""
        ...

    def amounts(self, charge: Charge, service_id: str, start: datetime, end: datetime) -> Sequence[Decimal]:
        """The amount of each event in order, for a percentage."""
        ...

    def used(self, service_id: str, start: datetime, end: datetime) -> bool:
        """Whether there was any usage of the service."""
        ...


_UNITS = {"request_mb": "MB", "response_mb": "MB", "data_mb": "MB", "active_minutes": "min"}


def compute_lines(
    plans: Sequence[UsedPlan], zone: str, period_days: int, figures: PeriodUsage, *, empty: bool = False
) -> list[Line]:
    """Compute the lines of one period, by service, plan version and place in the plan. Those without usage and money
    are left out, unless they are asked for as `empty`, which corrections need.

    `plans` are the versions in force in the period, of one currency; `period_days` is how many local days it has.
    """
    by_service: defaultdict[str, list[UsedPlan]] = defaultdict(list)
    for used in plans:
        by_service[used.plan.service_id].append(used)
    lines: list[Line] = []
    with localcontext(EXACT):
        for service_id in sorted(by_service):
            in_order = sorted(by_service[service_id], key=lambda used: used.start)
            lines += _service_lines(in_order, ZoneInfo(zone), period_days, figures, empty=empty)
    return lines


def _service_lines(
    plans: list[UsedPlan], zone: ZoneInfo, period_days: int, figures: PeriodUsage, *, empty: bool
) -> list[Line]:
    """The lines of one service, whose plan versions are in order. Who neither used it nor subscribed pays nothing."""
    service_id = plans[0].plan.service_id
    is_used = any(figures.used(service_id, used.start, used.end) for used in plans)
    if not is_used and not any(used.subscribed for used in plans):
        return []
    versions = [_Version(used, charge, _days(used, zone)) for used in plans for charge in _charges(used)]
    charges: dict[_Key, _PeriodCharge] = {}
    for version in versions:
        charges.setdefault(charge_key(version.charge), _PeriodCharge(period_days, figures)).versions.append(version)
    lines = [charges[charge_key(version.charge)].line(version, empty=empty) for version in versions]
    return [line for line in lines if line is not None]


def _days(used: UsedPlan, zone: ZoneInfo) -> int:
    """For how many local days a plan version is in force."""
    return (used.end.astimezone(zone).date() - used.start.astimezone(zone).date()).days


def _charges(used: UsedPlan) -> Sequence[Charge]:
    """The charges of a plan, each key once: an invoice that somebody wrote by hand may repeat one."""
    return tuple({charge_key(charge): charge for charge in used.plan.charges}.values())


_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Version:
    """A charge as one plan version has it, in force for `days` local days of the period."""

    used: UsedPlan
    charge: Charge
    days: int


class _PeriodCharge:
    """One charge of a service through a period: its versions in order, and what its lines so far amount to."""

    def __init__(self, period_days: int, figures: PeriodUsage) -> None:
        self.versions: list[_Version] = []
        self._period_days = period_days
        self._figures = figures
        self._quantity = ZERO
        self._events: list[Decimal] = []
        self._billed = ZERO
        self._billed_without_maximum = ZERO
        self._capped = ZERO
        """What a maximum took off."""
        self._had_zero_fee = False
        """Whether a line had the fee that is due without usage."""

    def line(self, version: _Version, *, empty: bool) -> Line | None:
        """The next line of the charge, for a version of it; None for one that has nothing to say."""
        is_last = version is self.versions[-1]
        if is_sum(version.charge):
            rated_versions = [version]
        elif is_last:
            rated_versions = self.versions
        else:
            return None  # what is no sum is counted over all versions, and priced by the last one
        start = rated_versions[0].used.start
        days = sum(each.days for each in rated_versions)
        usage = self._usage(version, start, base_fee_share=Decimal(days) / self._period_days, is_last=is_last)
        rated = rate(self._with_shared_bounds(version.charge), usage, version.used.plan.currency)
        self._add(version.charge, usage, rated)
        if empty or usage.quantity or rated.amount or rated.total:
            return _line(version, start, usage, rated)
        return None

    def _usage(self, version: _Version, start: datetime, *, base_fee_share: Decimal, is_last: bool) -> Usage:
        charge, service_id, end = version.charge, version.used.plan.service_id, version.used.end
        if isinstance(charge, PercentageCharge):
            events = self._figures.amounts(charge, service_id, start, end)
            quantity = sum(events, ZERO)
        else:
            events = None
            quantity = self._figures.quantity(charge, service_id, start, end)
        return Usage(
            quantity=quantity,
            pre_line_quantity=self._quantity,
            previously_billed=self._billed,
            events=events,
            pre_events=tuple(self._events),
            base_fee_share=base_fee_share,
            is_first=not self._had_zero_fee,
            is_last=is_last,
            previously_capped=self._capped,
        )

    def _with_shared_bounds(self, charge: Charge) -> Charge:
        """The charge with the period's minimum and maximum: of what each version says, the share of its days. A maximum
        is of what is billed under versions that have one."""
        # What is no sum is priced by one version, so that version's bounds hold for all of the days.
        shares = [(each.charge if is_sum(charge) else charge, each.days) for each in self.versions]
        least = [each.minimum_spend * days for each, days in shares if each.minimum_spend is not None]
        most = [each.maximum_spend * days for each, days in shares if each.maximum_spend is not None]
        minimum = sum(least, ZERO) / self._period_days if least else None
        maximum = None
        if charge.maximum_spend is not None:
            maximum = self._billed_without_maximum + sum(most, ZERO) / self._period_days
        return charge.model_copy(update={"minimum_spend": minimum, "maximum_spend": maximum})

    def _add(self, charge: Charge, usage: Usage, rated: Rated) -> None:
        self._quantity += usage.quantity
        self._events += usage.events or ()
        self._billed += rated.total
        if charge.maximum_spend is None:
            self._billed_without_maximum += rated.total
        self._capped += rated.capped
        self._had_zero_fee |= getattr(charge, "flat_fee_at_zero", False)


def _line(version: _Version, start: datetime, usage: Usage, rated: Rated) -> Line:
    used, charge = version.used, version.charge
    return Line(
        service_id=used.plan.service_id,
        service_name=used.service_name,
        plan_number=used.plan.number,
        charge_id=charge.id,
        description=charge.name,
        metric=charge.metric or "",
        unit=charge.unit or _UNITS.get(charge.metric or "", ""),
        start=start,
        end=used.end,
        quantity=usage.quantity,
        billed_quantity=rated.billed_quantity,
        steps=tuple(StepRow(**asdict(step)) for step in rated.steps),
        amount_exact=rated.amount,
        amount=rated.rounded,
        discount=rated.discount,
        top_up=rated.commitment_top_up,
        net=rated.total,
    )
