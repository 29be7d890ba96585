"""Drafts of invoices: reading everything that a subscriber's invoice rests on, and computing the invoice. Previews and
the close share this.

The period's own usage is rated, and so is that of the two periods before, again: an event is taken up to 35 days after
it happened, so it may come after the close of its month, and of the next one, not later. What differs from what was
billed is a correction, a signed line that names its period.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.access.models import Consumer
from shared.access.store import AccessStore
from shared.billing.invoices.corrections import billed_lines, correction_lines
from shared.billing.invoices.credit import Credit
from shared.billing.invoices.lines import compute_lines
from shared.billing.invoices.models import Invoice, Line, invoice_id
from shared.billing.invoices.store import InvoiceStore
from shared.billing.invoices.totals import commission_of, total_up
from shared.billing.month_close.issuing import Draft
from shared.billing.month_close.models import Close
from shared.billing.month_close.store import CloseStore
from shared.billing.month_close.subscribers import BilledSubscriber
from shared.billing.prices.models import Plan, UsedPlan
from shared.billing.prices.service import schedule
from shared.billing.prices.store import PlanStore
from shared.billing.profiles.parties import buyer_party
from shared.billing.profiles.store import ProfileStore
from shared.billing.tax.models import Party
from shared.billing.tax.rules import tax_lines, treatment
from shared.billing.usage.models import RecordsProof
from shared.billing.usage.month import MonthReader, MonthUsage
from shared.catalog.store import CatalogStore
from shared.kernel.documents import Stored
from shared.kernel.http.problems import not_found
from shared.kernel.money import ZERO
from shared.kernel.periods import Period, previous_month

EARLIER_MONTHS = 2
"""That late usage may still come for."""


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """A period with the plans that were in force in it; `subscribed` of each is filled in for each consumer."""

    period: Period
    plans: tuple[UsedPlan, ...]


@dataclass(frozen=True, slots=True)
class Basis:
    """What all drafts of one close share. `earlier` are closed periods, the latest first. `stopped` are services that
    cannot be called: nobody pays fees for them without having used them."""

    close: Close
    month: PricedPeriod
    earlier: tuple[PricedPeriod, ...]
    stopped: frozenset[str]


class Drafter:
    """Drafts invoices. There is one in each process."""

    def __init__(
        self,
        *,
        plans: PlanStore,
        profiles: ProfileStore,
        invoices: InvoiceStore,
        closes: CloseStore,
        access: AccessStore,
        catalog: CatalogStore,
        reader: MonthReader,
    ) -> None:
        self._plans = plans
        self._profiles = profiles
        self._invoices = invoices
        self._closes = closes
        self._access = access
        self._catalog = catalog
        self._reader = reader

    async def load_basis(self, close: Close) -> Basis:
        """Read what all drafts of a close share. For a preview, `close` may be a draft that is stored nowhere."""
        plans = await self._plans.plans(close.merchant_id)
        services = {
            service_id: service
            for service_id in {plan.service_id for plan in plans}
            if (service := await self._catalog.service(service_id)) is not None
        }
        names = {service_id: service.name for service_id, service in services.items()}
        merchant = await self._catalog.merchant(close.merchant_id)
        suspended = merchant is not None and merchant.status != "active"
        stopped = frozenset(id_ for id_, service in services.items() if suspended or service.status != "active")

        earlier, name = [], close.period
        for _ in range(EARLIER_MONTHS):
            name = previous_month(name)
            closed = await self._closes.close(close.merchant_id, name)
            if closed is None:
                break
            earlier.append(_price_period(closed.value.as_period, plans, names))
        return Basis(close, _price_period(close.as_period, plans, names), tuple(earlier), stopped)

    async def draft_invoices(self, basis: Basis, subscriber: BilledSubscriber, *, proven: bool = True) -> list[Draft]:
        """Draft an invoice for each currency in which there is something to bill, by currency. With `proven` the raw
        records are read as well: their hash is on the invoice, and their sums must be the counters'. Raises
        CountersDiffer; DocumentsUnavailable; Problem 404 for a consumer that does not exist."""
        consumer = await self._access.consumer(subscriber.consumer_id)
        if consumer is None:
            raise not_found()
        details = await self._profiles.buyer(consumer.id)
        shared_name = consumer.name if basis.close.merchant_id in consumer.shares_name_with else None
        buyer = buyer_party(None if details is None else details.value, subscriber.pseudonym, shared_name)
        usage = await self._reader.read(consumer, basis.month.period, basis.month.plans, records=proven)
        earlier = [
            (month, await self._reader.fingerprint(consumer, month.period, month.plans)) for month in basis.earlier
        ]
        currencies = {used.plan.currency for month in (basis.month, *basis.earlier) for used in month.plans}
        found = []
        for currency in sorted(currencies):
            subject = _Subject(basis, subscriber, consumer, currency, buyer)
            draft = await self._draft(subject, usage, earlier, proven=proven)
            if draft is not None:
                found.append(draft)
        return found

    async def _draft(
        self, subject: "_Subject", usage: MonthUsage, earlier: Sequence[tuple[PricedPeriod, str]], *, proven: bool
    ) -> Draft | None:
        """Draft the invoice of one subscriber in one currency; None when there is nothing to bill."""
        basis, period = subject.basis, subject.basis.month.period
        plans = subject.plans(basis.month, usage)
        service_ids = _services(plans)
        lines = compute_lines(plans, period.zone, period.days, usage)
        records = [usage.proof(subject.currency, service_ids)] if proven and lines else []
        invoices = await self._earlier_invoices(subject)
        prints = {period.name: usage.fingerprint}
        for month, fingerprint in earlier:
            name = month.period.name
            prints[name] = fingerprint
            if fingerprint in ("", _known_print(name, invoices.values())):
                continue
            late, counted, proof = await self._corrections(subject, month, invoices)
            lines += late
            plans += counted if late else ()
            records += [proof] if late else []
        if not lines:
            return None
        stored = await self._invoices.credit(basis.close.merchant_id, subject.consumer.id, subject.currency)
        invoice = _assemble(subject, tuple(lines), tuple(plans), stored)
        known = {
            "records": tuple(records),
            "prints": prints,
            "days": usage.requests_by_day(service_ids),
        }
        return Draft(basis.close, invoice.model_copy(update=known), stored)

    async def _earlier_invoices(self, subject: "_Subject") -> dict[str, Invoice]:
        """The invoices of the months before, by period."""
        merchant_id, found = subject.basis.close.merchant_id, {}
        for month in subject.basis.earlier:
            invoice = invoice_id(
                merchant_id=merchant_id,
                consumer_id=subject.consumer.id,
                period=month.period.name,
                currency=subject.currency,
            )
            stored = await self._invoices.invoice(merchant_id, invoice)
            if stored is not None:
                found[month.period.name] = stored.value
        return found

    async def _corrections(
        self, subject: "_Subject", month: PricedPeriod, invoices: Mapping[str, Invoice]
    ) -> tuple[list[Line], tuple[UsedPlan, ...], RecordsProof]:
        """What late usage changes about an earlier month, with the plans and records that it rests on."""
        name = month.period.name
        before = invoices.get(name)
        usage = await self._reader.read(subject.consumer, month.period, month.plans, records=True)
        plans = subject.plans(month, usage, before)
        should = compute_lines(plans, month.period.zone, month.period.days, usage, empty=True)
        lines = correction_lines(name, should, billed_lines(name, invoices.values()))
        return lines, plans, usage.proof(subject.currency, _services(plans))


@dataclass(frozen=True, slots=True)
class _Subject:
    """One consumer's draft in one currency."""

    basis: Basis
    subscriber: BilledSubscriber
    consumer: Consumer
    currency: str
    buyer: Party

    def plans(self, month: PricedPeriod, usage: MonthUsage, before: Invoice | None = None) -> tuple[UsedPlan, ...]:
        """The plans of the month, in this currency, of services that the consumer used or subscribed to: what others
        pay for the rest is not its affair. Who subscribed in an earlier month is as its invoice says."""
        subscribed = frozenset[str]()
        if month is self.basis.month and self.consumer.status == "active":
            subscribed = self.subscriber.subscribed - self.basis.stopped
        if before is not None:
            billed = (used for used in before.plans if used.period == month.period.name)
            subscribed = frozenset(used.plan.service_id for used in billed if used.subscribed)
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
    subject: _Subject, lines: tuple[Line, ...], plans: tuple[UsedPlan, ...], credit: Stored[Credit] | None
) -> Invoice:
    close, currency = subject.basis.close, subject.currency
    net = sum((line.net for line in lines), ZERO)
    taxes = tax_lines(treatment(close.seller, subject.buyer), net, currency)
    totals = total_up(lines, taxes, () if credit is None else credit.value.left, currency)
    commission = commission_of(net, close.commission_percent, currency)
    return Invoice(
        id=invoice_id(
            merchant_id=close.merchant_id,
            consumer_id=subject.consumer.id,
            period=close.period,
            currency=currency,
        ),
        number="",
        status="draft",
        merchant_id=close.merchant_id,
        consumer_id=subject.consumer.id,
        pseudonym=subject.subscriber.pseudonym,
        currency=currency,
        period=close.period,
        start=close.start,
        end=close.end,
        time_zone=close.time_zone,
        issued_on=close.issued_on,
        due_on=close.due_on,
        seller=close.seller,
        buyer=subject.buyer,
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


def _price_period(period: Period, plans: Sequence[Plan], names: Mapping[str, str]) -> PricedPeriod:
    """Find the plans of a merchant that were in force in a period. `names` are those of services, by id."""
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
    return PricedPeriod(period, used)
