"""Subscribers are told of prices that change: everybody who has access to the service, in the background.

The transaction that changes a plan creates a notice, and a task that follows it. The task commits one page of
subscribers after another: a transaction holds the page's mails (as tasks) and the notice that is now behind them, so
that a kill repeats nothing; the last one deletes the notice. Where two do the same task at once, the notice's ETag lets
one of them through, and the other tries again later.
"""

import asyncio
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import AwareDatetime

from shared.access.mails import AccessMails
from shared.access.models import Grant
from shared.access.store import AccessStore
from shared.audit.journal import Journal
from shared.audit.tasks import Task
from shared.billing.prices.models import Plan
from shared.billing.prices.store import PlanStore
from shared.billing.store import BILLING
from shared.billing.tasks import TellPriceChange
from shared.catalog.store import CatalogStore
from shared.identity.mails import one_line
from shared.identity.tasks import SendMail
from shared.kernel.documents import Identifier, Stored, StoredModel
from shared.platform.documents import Create, Delete, Query, Replace, Where

SUBSCRIBERS_AT_ONCE = 50
"""Whose mails are one transaction, which takes 100 operations."""

MAILS_AFTER_S = 1
"""Left to the outbox's timer, which sends a bounded number at once; this process would send all pages' together."""


class PlanNotice(StoredModel):
    """How far the notice of a version has come, under `notice:{service_id}:{number}:…`: subscribers up to the pseudonym
    `after` were told."""

    kind: Literal["notice"] = "notice"
    merchant_id: Identifier
    service_id: Identifier
    number: int
    effective_from: AwareDatetime
    time_zone: str
    withdrawn: bool = False
    after: str = ""


def notify(plan: Plan, time_zone: str, *, withdrawn: bool = False) -> tuple[Create, Task]:
    """Make the notice of a changed plan and the task that follows it: to be committed together with the change, in the
    merchant's partition of `billing`."""
    notice = PlanNotice(
        merchant_id=plan.merchant_id,
        service_id=plan.service_id,
        number=plan.number,
        effective_from=plan.effective_from,
        time_zone=time_zone,
        withdrawn=withdrawn,
    )
    create = Create(_document(notice), notice.to_json())
    return create, TellPriceChange(merchant_id=plan.merchant_id, notice=create.id)


def _document(notice: PlanNotice) -> str:
    return f"notice:{notice.service_id}:{notice.number:06d}:{'withdrawn' if notice.withdrawn else 'announced'}"


class PlanNotices:
    """Tells subscribers of prices that change, by mail."""

    def __init__(
        self, *, plans: PlanStore, access: AccessStore, catalog: CatalogStore, journal: Journal, mails: AccessMails
    ) -> None:
        self._plans = plans
        self._access = access
        self._catalog = catalog
        self._journal = journal
        self._mails = mails

    async def on_tell(self, task_id: str, task: TellPriceChange) -> None:
        """Handle TellPriceChange. Raises Problem 409 when somebody else is doing the same;
        DocumentsUnavailable."""
        stored = await self._plans.get(PlanNotice, task.merchant_id, task.notice)
        while stored is not None:
            stored = await self._page(stored)

    async def _page(self, stored: Stored[PlanNotice]) -> Stored[PlanNotice] | None:
        """Tell the next subscribers. None when all are told."""
        notice = stored.value
        mail = await self._write_mail(notice)
        grants = [] if mail is None else await self._grants(notice)
        if mail is None or not grants:
            await self._journal.commit(BILLING, notice.merchant_id, [Delete(_document(notice), stored.etag)])
            return None
        mails = await asyncio.gather(*(self._to_subscriber(grant, *mail) for grant in grants))
        after = notice.model_copy(update={"after": grants[-1].pseudonym})
        write = Replace(_document(notice), after.to_json(), stored.etag)
        tasks = [task for each in mails for task in each]
        etags = await self._journal.commit(BILLING, notice.merchant_id, [write], tasks=tasks)
        return Stored(after, etags[0])

    async def _to_subscriber(self, grant: Grant, subject: str, text: str) -> list[SendMail]:
        if grant.status != "approved":
            return []
        consumer = await self._access.consumer(grant.consumer_id)
        mails = await self._mails.to_consumer(consumer, subject, text)
        return [mail.model_copy(update={"delay_s": MAILS_AFTER_S}) for mail in mails]

    async def _grants(self, notice: PlanNotice) -> list[Grant]:
        where = [Where("service_id", "=", notice.service_id)]
        if notice.after:
            where.append(Where("pseudonym", ">", notice.after))
        # Across tenants: a change of prices is told to everybody who may use the service.
        query = Query(None, tuple(where), order_by="pseudonym", limit=SUBSCRIBERS_AT_ONCE)
        return [stored.value for stored in await self._access.first(Grant, query)]

    async def _write_mail(self, notice: PlanNotice) -> tuple[str, str] | None:
        """Write the mail's subject and text; None when there is nothing to tell any more."""
        service = await self._catalog.service(notice.service_id)
        merchant = await self._catalog.merchant(notice.merchant_id)
        if service is None or merchant is None:
            return None
        local = notice.effective_from.astimezone(ZoneInfo(notice.time_zone))
        day, moment = f"{local:%Y-%m-%d}", f"{local:%Y-%m-%d %H:%M} ({notice.time_zone})"
        name, by = one_line(service.name), one_line(merchant.name)
        if notice.withdrawn:
            text = f"{by} has withdrawn the prices of {name} that were to hold from {moment}. They do not come."
            return f"Prices of {name} do not change on {day}", f"{text}\n"
        stored = await self._plans.plan(notice.merchant_id, notice.service_id, notice.number)
        if stored is None:  # withdrawn meanwhile: that is told by a notice of its own
            return None
        return f"Prices of {name} from {day}", _text(stored.value, name, by, moment)


def _text(plan: Plan, name: str, by: str, moment: str) -> str:
    if not plan.charges:
        return f"{by} has changed the prices of {name}: from {moment} it is free of charge.\n"
    charges = "\n".join(f"- {one_line(charge.name)}" for charge in plan.charges)
    return f"""{by} has set prices of {name} that hold from {moment}.

Plan: {one_line(plan.name)} (version {plan.number}), in {plan.currency}. It charges for:
{charges}

All prices are in the portal, on the page of the service.
"""
