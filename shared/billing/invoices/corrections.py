"""Corrections: signed lines for usage of an earlier period that was counted after its invoice.

Which earlier periods are looked at is decided by `shared.billing.month_close.drafting`. The next invoice bears a line
for each charge whose cost differs from what was billed so far; the earlier invoice stays as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from shared.billing.invoices.models import Invoice, Line, StepRow
from shared.kernel.money import ZERO

BilledLines = Mapping[tuple[str, str, datetime], tuple[Decimal, Decimal]]
"""By service, charge and start of a line of an earlier period: quantity and net amount that were billed for it."""


def billed_lines(period: str, invoices: Iterable[Invoice]) -> BilledLines:
    """Sum up what was billed for a period: by its own invoice, and by the corrections on later ones. `invoices` are all
    of one consumer in one currency."""
    found: dict[tuple[str, str, datetime], tuple[Decimal, Decimal]] = {}
    for invoice in invoices:
        for line in invoice.lines:
            if (line.corrects or invoice.period) == period:
                key = (line.service_id, line.charge_id, line.start)
                quantity, net = found.get(key, (ZERO, ZERO))
                found[key] = (quantity + line.quantity, net + line.net)
    return found


def correction_lines(period: str, should: Sequence[Line], before: BilledLines) -> list[Line]:
    """Make the lines that bring what was billed for an earlier period to what its usage costs as it is counted now:
    signed, one for each charge that differs. `should` are all lines of the period as they would be billed now, also
    those without money: a minimum that was billed may be due no more."""
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
