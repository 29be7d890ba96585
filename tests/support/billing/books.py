"""A merchant who bills: plans, a profile, usage that is counted by the real aggregator, and everything that closes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared.access.mails import AccessMails
from shared.access.pseudonyms import Pseudonyms
from shared.access.store import AccessStore
from shared.audit.journal import Journal
from shared.audit.log import AuditLog
from shared.audit.platform import PlatformSettingsStore
from shared.billing.invoices.models import Invoice
from shared.billing.invoices.store import InvoiceStore
from shared.billing.month_close.drafting import Drafter
from shared.billing.month_close.issuing import InvoiceIssuer
from shared.billing.month_close.service import Closer
from shared.billing.month_close.store import CloseStore
from shared.billing.month_close.subscribers import BilledSubscribers
from shared.billing.prices.models import Plan
from shared.billing.prices.store import PlanStore
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import ProfileStore
from shared.billing.store import BILLING
from shared.billing.tasks import AnnounceInvoices
from shared.billing.usage.month import MonthReader
from shared.catalog.models import Address
from shared.catalog.store import CatalogStore
from shared.identity.store import AccountStore
from shared.kernel.clock import format_time
from shared.metering.events import UsageEvent
from shared.platform.documents import Documents, Query, Where
from tests.support.clock import Clock
from tests.support.embedded import Embedded, load_hasher, open_embedded, raw, usage_event
from tests.support.market import PER_REQUEST, MarketBuilder

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
AFTER_MARCH = datetime(2026, 4, 2, 1, tzinfo=UTC)
"""March is over, and so is the grace."""


@dataclass
class Books:
    """`closer` and the rest work on `documents`, which may be another process's or a failing one."""

    embedded: Embedded
    documents: Documents
    time: Clock
    announced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        documents = self.documents
        self.plans, self.profiles = PlanStore(documents), ProfileStore(documents)
        self.invoice_store, self.closes = InvoiceStore(documents), CloseStore(documents)
        self.access, self.catalog = AccessStore(documents), CatalogStore(documents)
        self.builder = MarketBuilder(self.access, self.catalog, load_hasher)
        self.audit = AuditLog(documents)
        self.journal = Journal(documents, self.audit.append, self.time)
        self.journal.on(AnnounceInvoices, self._announce)
        self.settings = PlatformSettingsStore(documents, self.journal)
        self.mails = AccessMails(AccountStore(documents), self.settings)
        self.subscribers = BilledSubscribers(self.access)
        self.drafter = Drafter(
            plans=self.plans,
            profiles=self.profiles,
            invoices=self.invoice_store,
            closes=self.closes,
            access=self.access,
            catalog=self.catalog,
            reader=MonthReader(documents),
        )
        self.issuer = InvoiceIssuer(self.invoice_store, self.journal, self.time)
        self.closer = Closer(
            closes=self.closes,
            profiles=self.profiles,
            catalog=self.catalog,
            subscribers=self.subscribers,
            drafter=self.drafter,
            issuer=self.issuer,
            journal=self.journal,
            settings=self.settings,
            mails=self.mails,
            now=self.time,
        )

    async def _announce(self, task_id: str, task: AnnounceInvoices) -> None:
        self.announced += task.ids

    def again(self, documents: Documents | None = None) -> "Books":
        """Another process on the same store."""
        return Books(self.embedded, documents or self.embedded.documents, self.time)

    async def price(self, *charges: dict[str, Any], **changes: Any) -> Plan:
        return await self.builder.plan(*charges, begin=BEGIN, **changes)

    async def bill(self, **changes: Any) -> BillingProfile:
        """Write the profile, over the one that is there."""
        return await self.builder.profile(self.begins, **changes)

    begins = datetime(2026, 3, 1, tzinfo=UTC)

    async def subscribe(self, consumer_id: str = "con_1", service_id: str = "svc_maps", **changes: Any) -> str:
        """Returns the pseudonym."""
        pseudonym = await Pseudonyms(_pepper).of("mer_1", consumer_id)
        fields: dict[str, Any] = {"merchant_id": "mer_1", "decided_at": BEGIN, "pseudonym": pseudonym}
        await self.builder.consumer(id=consumer_id, name=f"Consumer {consumer_id}")
        await self.builder.grant(consumer_id=consumer_id, service_id=service_id, **{**fields, **changes})
        return pseudonym

    async def count(self, *events: UsageEvent) -> None:
        """Through the aggregator, in a call of its own."""
        for event in events:
            key = await self.access.key(event.consumer_id, event.api_key_id)
            if key is None:
                await self.embedded.put_key(id=event.api_key_id, consumer_id=event.consumer_id)
        await self.embedded.aggregator().apply(raw(*events))

    async def use(self, number: int, day: str = "2026-03-10", consumer_id: str = "con_1", **data: Any) -> None:
        """So many events, one each minute from 8:00 UTC of a day on."""
        start = datetime.fromisoformat(f"{day}T08:00:00+00:00")
        await self.count(
            *(event(f"{day}-{n}", start + timedelta(minutes=n), consumer_id, **data) for n in range(number))
        )

    async def invoices(self) -> list[Invoice]:
        """All of the merchant's, by number."""
        query = Query("mer_1", (Where("kind", "=", "invoice"),), order_by="number", limit=1000)
        page = await self.embedded.documents.query(BILLING, query)
        return [Invoice.model_validate_json(document.body) for document in page.items]


def event(id: str, time: datetime, consumer_id: str = "con_1", **data: Any) -> UsageEvent:
    number = consumer_id.removeprefix("con_")
    return usage_event(
        id,
        time=format_time(time),
        consumer_id=consumer_id,
        api_key_id=f"key_{number}",
        data=data,
        received_at=format_time(time),
    )


async def _pepper(name: str) -> str:
    return "a pepper"


async def open_books(folder: Path, *charges: dict[str, Any]) -> Books:
    """Acme, which is to bill March for `svc_maps`; `con_1` has access."""
    embedded = await open_embedded(folder)
    embedded.time.moment = AFTER_MARCH
    books = Books(embedded, embedded.documents, embedded.time)
    address = Address(lines=("Hauptstr. 1",), city="Berlin", postal_code="10115", country="DE")
    await asyncio.gather(
        books.builder.merchant(legal_name="Acme GmbH", address=address), books.bill(), books.subscribe()
    )
    await books.price(*(charges or (PER_REQUEST,)))
    return books


def nets(invoices: Sequence[Invoice]) -> list[str]:
    return [f"{invoice.net}" for invoice in invoices]
