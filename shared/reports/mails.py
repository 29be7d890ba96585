"""Who is told that a report is ready, and with whom it is shared.

A mail has the address of the report in the portal, where who signs in gets a fresh link: a link that anybody can follow
would live as long as the mailbox.
"""

from datetime import datetime

from shared.access.mails import AccessMails
from shared.access.store import AccessStore
from shared.audit.tasks import Task, create
from shared.catalog.store import CatalogStore
from shared.identity.mails import one_line
from shared.identity.models import Account
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail
from shared.kernel.clock import format_time
from shared.reports.models import Report, Subject
from shared.reports.sources import ReportSources
from shared.reports.store import REPORTS, report_document
from shared.webhooks.tasks import emit


class ReportMails:
    """Writes the mails and events about reports. `public_url` is where the portal is served."""

    def __init__(
        self,
        accounts: AccountStore,
        access: AccessStore,
        catalog: CatalogStore,
        sources: ReportSources,
        mails: AccessMails,
        public_url: str,
    ) -> None:
        self._accounts = accounts
        self._access = access
        self._catalog = catalog
        self._sources = sources
        self._mails = mails
        self._public_url = public_url

    async def ready(self, report: Report, at: datetime) -> list[Task]:
        """Tell the owner that a report is ready, by mail and webhook; the consumer, when it is shared, gets a copy of
        the report and a mail."""
        told = {
            "id": report.id,
            "name": report.contents.name,
            "format": report.contents.format,
            "rows": report.rows,
            "from": format_time(report.start),
            "to": format_time(report.end),
            "schedule_id": report.schedule_id,
        }
        tasks = [emit(report.owner_id, "report.ready", told, at), *await self._to_asker(report)]
        if report.contents.share_with_consumer:
            tasks += await self._shared(report)
        return tasks

    async def failed(self, report: Report) -> list[Task]:
        """Tell the owner of a scheduled report that it failed: nobody waits for that one."""
        if report.schedule_id is None:
            return []
        text = f"The scheduled report {_what(report)} could not be made: {report.error}\n"
        return await self._mail(report, f"Report failed: {one_line(report.contents.name)}", text)

    async def _to_asker(self, report: Report) -> list[Task]:
        text = f"The report {_what(report)} is ready. Sign in to get it:\n\n{self._address(report)}\n"
        return await self._mail(report, f"Report ready: {one_line(report.contents.name)}", text)

    async def _mail(self, report: Report, subject: str, text: str) -> list[Task]:
        stored = await self._accounts.account(report.created_by)
        if stored is None or not _still_may(stored.value, report):
            return []
        account = stored.value
        return (
            [SendMail(to=account.email, subject=subject, text=text)]
            if account.email is not None and account.email_verified
            else []
        )

    async def _shared(self, report: Report) -> list[Task]:
        pseudonym = report.contents.subject.pseudonyms[0]
        consumer_id = await self._sources.consumer_id(report.owner_id, pseudonym)
        consumer = None if consumer_id is None else await self._access.consumer(consumer_id)
        if consumer is None:
            return []
        merchant = await self._catalog.merchant(report.owner_id)
        by = "a merchant" if merchant is None else one_line(merchant.name)
        subject = Subject(service_id=report.contents.subject.service_id)
        contents = report.contents.model_copy(update={"share_with_consumer": False, "subject": subject})
        copy = report.model_copy(
            update={
                "owner_kind": "consumer",
                "owner_id": consumer.id,
                "shared_by": report.owner_id,
                "schedule_id": None,
                "contents": contents,
            }
        )
        text = f"{by} shares a report of your usage with you, {_what(report)}."
        text += f" Sign in to get it:\n\n{self._address(copy)}\n"
        return [
            create(REPORTS, consumer.id, report_document(report.id), copy),
            *await self._mails.to_consumer(consumer, f"A report of your usage from {by}", text),
        ]

    def _address(self, report: Report) -> str:
        home = {"consumer": "", "merchant": f"/merchant/{report.owner_id}", "platform": "/admin"}[report.owner_kind]
        return f"{self._public_url}{home}/reports/{report.id}"


def _still_may(account: Account, report: Report) -> bool:
    """Tell whether the account may still see the owner's reports: who asked may have left since; a schedule goes on for
    the owner."""
    if account.status != "active":
        return False
    if report.owner_kind == "merchant":
        return report.owner_id in account.merchant_ids
    return account.role == "admin" if report.owner_kind == "platform" else account.consumer_id == report.owner_id


def _what(report: Report) -> str:
    return f'"{one_line(report.contents.name)}" ({report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, exclusive)'
