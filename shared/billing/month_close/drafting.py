"""What a consumer's invoice would be: read everything it rests on, and compute it. Previews and the close share this.

The period's own usage is rated, and so is that of the two periods before, again: an event is taken up to 35 days after
it happened, so it may come after the close of its month, and of the next one, not later. What differs from what was
billed is a correction, a signed line that names its period.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.access.models import Consumer
from shared.access.store import AccessStore
from shared.billing.close_models import Close
from shared.billing.credit_models import Credit
from shared.billing.invoices.lines import (
    billed,
    commission_of,
    compute_lines,
    corrections,
    invoice_id,
    total_up,
)
from shared.billing.models import Invoice, Line, Party, RecordsProof, UsedPlan
from shared.billing.month_close.issuing import Draft
from shared.billing.prices.service import schedule
from shared.billing.profiles.parties import buyer_party
from shared.billing.store import BillingStore
from shared.billing.tax.rules import tax_lines, treatment
from shared.billing.usage.month import MonthReader, MonthUsage
from shared.catalog.store import CatalogStore
from shared.kernel.documents import Held
from shared.kernel.http.problems import not_found
from shared.kernel.money import ZERO
from shared.kernel.periods import Period, previous_month

EARLIER_MONTHS = 2
"""That late usage may still come for."""


@dataclass(frozen=True, slots=True)
class Month:
    """A period with the plans that were in force in it; whether one subscribed is filled in for each consumer."""

    period: Period
    plans: tuple[UsedPlan, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What all drafts of one close share. `earlier` are closed months, the latest first. `shut` are services that
    cannot be called: nobody pays fees for them without having used them."""

    close: Close
    month: Month
    earlier: tuple[Month, ...]
    shut: frozenset[str]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A consumer of a merchant. It has access to `subscribed` services, and may have had to others."""

    consumer_id: str
    pseudonym: str
    subscribed: frozenset[str]


class Drafter:
    """One per process."""

    def __init__(self, store: BillingStore, access: AccessStore, catalog: CatalogStore, reader: MonthReader) -> None:
        self._store = store
        self._access = access
        self._catalog = catalog
        self._reader = reader

    async def basis(self, close: Close) -> Basis:
        """`close` may be one that is only thought of, for a preview."""
        plans = await self._store.plans(close.merchant_id)
        services = {
            service_id: service
            for service_id in {plan.service_id for plan in plans}
            if (service := await self._catalog.service(service_id)) is not None
        }
        names = {service_id: service.name for service_id, service in services.items()}
        merchant = await self._catalog.merchant(close.merchant_id)
        stopped = merchant is not None and merchant.status != "active"
        shut = frozenset(id_ for id_, service in services.items() if stopped or service.status != "active")

        def month(period: Period) -> Month:
            used = tuple(
                UsedPlan(
                    start=start,
                    end=end,
                    period=period.name,
                    service_name=names.get(service_id, service_id),
                    subscribed=False,
                    plan=plan,
                )
                for service_id in sorted({plan.service_id for plan in plans})
                for start, end, plan in schedule(plans, service_id, period.start, period.end)
            )
            return Month(period, used)

        earlier, name = [], close.period
        for _ in range(EARLIER_MONTHS):
            name = previous_month(name)
            closed = await self._store.close(close.merchant_id, name)
            if closed is None:
                break
            earlier.append(month(closed.value.as_period))
        return Basis(close, month(close.as_period), tuple(earlier), shut)

    async def drafts(self, basis: Basis, subscriber: Subscriber, *, proven: bool = True) -> list[Draft]:
        """One for each currency in which there is something to bill, by currency. With `proven` the raw records are
        read as well: their hash is on the invoice, and their sums must be the counters'. Raises CountersDiffer;
        DocumentsUnavailable; Problem 404 for a consumer that does not exist."""
        consumer = await self._access.consumer(subscriber.consumer_id)
        if consumer is None:
            raise not_found()
        details = await self._store.buyer(consumer.id)
        shared_name = consumer.name if basis.close.merchant_id in consumer.shares_name_with else None
        buyer = buyer_party(None if details is None else details.value, subscriber.pseudonym, shared_name)
        usage = await self._reader.read(consumer, basis.month.period, basis.month.plans, records=proven)
        earlier = [
            (month, await self._reader.fingerprint(consumer, month.period, month.plans)) for month in basis.earlier
        ]
        currencies = {used.plan.currency for month in (basis.month, *basis.earlier) for used in month.plans}
        found = []
        for currency in sorted(currencies):
            work = _Work(basis, subscriber, consumer, currency, buyer)
            draft = await self._draft(work, usage, earlier, proven)
            if draft is not None:
                found.append(draft)
        return found

    async def _draft(
        self, work: "_Work", usage: MonthUsage, earlier: Sequence[tuple[Month, str]], proven: bool
    ) -> Draft | None:
        basis, period = work.basis, work.basis.month.period
        plans = work.plans(basis.month, usage)
        service_ids = _services(plans)
        lines = compute_lines(plans, period.zone, period.days, usage)
        records = [usage.proof(work.currency, service_ids)] if proven and lines else []
        invoices = await self._invoices(work)
        prints = {period.name: usage.fingerprint}
        for month, fingerprint in earlier:
            name = month.period.name
            prints[name] = fingerprint
            if fingerprint in ("", _known_print(name, invoices.values())):
                continue
            late, counted, proof = await self._corrections(work, month, invoices)
            lines += late
            plans += counted if late else ()
            records += [proof] if late else []
        if not lines:
            return None
        held = await self._store.credit(basis.close.merchant_id, work.consumer.id, work.currency)
        invoice = _assemble(work, tuple(lines), tuple(plans), held)
        known = {
            "records": tuple(records),
            "prints": prints,
            "days": usage.requests_by_day(service_ids),
        }
        return Draft(basis.close, invoice.model_copy(update=known), held)

    async def _invoices(self, work: "_Work") -> dict[str, Invoice]:
        """Those of the months before, by period."""
        merchant_id, found = work.basis.close.merchant_id, {}
        for month in work.basis.earlier:
            id = invoice_id(merchant_id, work.consumer.id, month.period.name, work.currency)  # noqa: A001 - its name
            held = await self._store.invoice(merchant_id, id)
            if held is not None:
                found[month.period.name] = held.value
        return found

    async def _corrections(
        self, work: "_Work", month: Month, invoices: Mapping[str, Invoice]
    ) -> tuple[list[Line], tuple[UsedPlan, ...], RecordsProof]:
        """What late usage changes about an earlier month, with the plans and records that it rests on."""
        name = month.period.name
        before = invoices.get(name)
        usage = await self._reader.read(work.consumer, month.period, month.plans, records=True)
        plans = work.plans(month, usage, before)
        should = compute_lines(plans, month.period.zone, month.period.days, usage, empty=True)
        lines = corrections(name, should, billed(name, invoices.values()))
        return lines, plans, usage.proof(work.currency, _services(plans))


@dataclass(frozen=True, slots=True)
class _Work:
    """One consumer's draft in one currency."""

    basis: Basis
    subscriber: Subscriber
    consumer: Consumer
    currency: str
    buyer: Party

    def plans(self, month: Month, usage: MonthUsage, before: Invoice | None = None) -> tuple[UsedPlan, ...]:
        """Of the month, in this currency, of services that the consumer used or subscribed to: what others pay for
        the rest is not its affair. Who subscribed in an earlier month is as its invoice says."""
        subscribed = frozenset[str]()
        if month is self.basis.month and self.consumer.status == "active":
            subscribed = self.subscriber.subscribed - self.basis.shut
        if before is not None:
            of = (used for used in before.plans if used.period == month.period.name)
            subscribed = frozenset(used.plan.service_id for used in of if used.subscribed)
        return tuple(
            used.model_copy(update={"subscribed": used.plan.service_id in subscribed})
            for used in month.plans
            if used.plan.currency == self.currency and used.plan.service_id in subscribed | usage.service_ids
        )


def _services(plans: Iterable[UsedPlan]) -> tuple[str, ...]:
    return tuple(sorted({used.plan.service_id for used in plans}))


def _known_print(period: str, invoices: Iterable[Invoice]) -> str | None:
    """What was known of a period's usage when it was billed last."""
    found = [(invoice.period, invoice.prints[period]) for invoice in invoices if period in invoice.prints]
    return max(found)[1] if found else None


def _assemble(
    work: _Work, lines: tuple[Line, ...], plans: tuple[UsedPlan, ...], credit: Held[Credit] | None
) -> Invoice:
    close, currency = work.basis.close, work.currency
    net = sum((line.net for line in lines), ZERO)
    taxes = tax_lines(treatment(close.seller, work.buyer), net, currency)
    totals = total_up(lines, taxes, () if credit is None else credit.value.left, currency)
    commission = commission_of(net, close.commission_percent, currency)
    return Invoice(
        id=invoice_id(close.merchant_id, work.consumer.id, close.period, currency),
        number="",
        status="draft",
        merchant_id=close.merchant_id,
        consumer_id=work.consumer.id,
        pseudonym=work.subscriber.pseudonym,
        currency=currency,
        period=close.period,
        start=close.start,
        end=close.end,
        time_zone=close.time_zone,
        issued_on=close.issued_on,
        due_on=close.due_on,
        seller=close.seller,
        buyer=work.buyer,
        lines=lines,
        taxes=taxes,
        commission_percent=close.commission_percent,
        commission=commission,
        merchant_net=totals.net - commission,
        plans=plans,
        payment_details=close.profile.payment_details,
        footer=close.profile.footer,
        logo=close.logo,
        **totals._asdict(),
    )
