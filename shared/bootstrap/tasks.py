"""What is done about the tasks that changes leave in the outbox."""

from shared.access.tasks import CLEAR_TASK, KEYS_TASK, MEMBERSHIP_TASK
from shared.audit.journal import Journal
from shared.billing.tasks import ISSUED_TASK, PRICES_TASK
from shared.bootstrap.reports import ReportParts
from shared.catalog.tasks import FORGET_SECRET_TASK, GATEWAY_TASK, PUBLISH_TASK, RELIST_TASK
from shared.identity.admins import ADMINS_TASK
from shared.identity.mail_task import MAIL_TASK, send_mail
from shared.identity.staff import STAFF_TASK
from shared.identity.store import RELEASE_TASK
from shared.reports.tasks import CLEAR_TASK as CLEAR_REPORT_TASK
from shared.reports.tasks import MAKE_TASK as MAKE_REPORT_TASK
from shared.webhooks.events import DELIVER_TASK, EMIT_TASK


class Tasks(ReportParts):
    """Every task that a noun can leave in the outbox has its handler here."""

    def _handle_tasks(self, journal: Journal) -> None:
        """What does a task is built, and imported, when there is one to do: consume's start does not wait for it."""
        journal.on_change(lambda: self.gate.invalidate())
        self._handle_identity_tasks(journal)
        self._handle_webhook_tasks(journal)
        self._handle_catalog_tasks(journal)
        self._handle_access_tasks(journal)
        self._handle_report_tasks(journal)
        self._handle_billing_tasks(journal)

    def _handle_identity_tasks(self, journal: Journal) -> None:
        journal.on(MAIL_TASK, lambda task_id, data: send_mail(self.mail, task_id, data))
        journal.on(ADMINS_TASK, lambda task_id, data: self.admins.on_task(task_id, data), inline=True)
        journal.on(STAFF_TASK, lambda task_id, data: self.staff.on_join(task_id, data), inline=True)
        journal.on(RELEASE_TASK, lambda task_id, data: self.identity.on_release(task_id, data), inline=True)

    def _handle_webhook_tasks(self, journal: Journal) -> None:
        journal.on(EMIT_TASK, lambda task_id, data: self.webhook_sender.on_emit(task_id, data))
        journal.on(DELIVER_TASK, lambda task_id, data: self.webhook_sender.on_deliver(task_id, data))

    def _handle_catalog_tasks(self, journal: Journal) -> None:
        journal.on(PUBLISH_TASK, lambda task_id, data: self.publisher.on_task(task_id, data))
        journal.on(GATEWAY_TASK, lambda task_id, data: self.gateway_sync.on_task(task_id, data))
        journal.on(FORGET_SECRET_TASK, lambda task_id, data: self.upstream_secrets.on_forget(task_id, data))
        journal.on(RELIST_TASK, lambda task_id, data: self.relisting.on_task(task_id, data))

    def _handle_access_tasks(self, journal: Journal) -> None:
        journal.on(MEMBERSHIP_TASK, lambda task_id, data: self.memberships.on_follow(task_id, data), inline=True)
        journal.on(KEYS_TASK, lambda task_id, data: self.members.on_disable_keys(task_id, data), inline=True)
        journal.on(CLEAR_TASK, lambda task_id, data: self.projects.on_clear(task_id, data), inline=True)

    def _handle_billing_tasks(self, journal: Journal) -> None:
        journal.on(ISSUED_TASK, lambda task_id, data: self.announcer.on_issued(task_id, data))
        journal.on(PRICES_TASK, lambda task_id, data: self.plan_notices.on_tell(task_id, data))

    def _handle_report_tasks(self, journal: Journal) -> None:
        journal.on(MAKE_REPORT_TASK, lambda task_id, data: self.report_runner.on_task(task_id, data))
        journal.on(CLEAR_REPORT_TASK, lambda task_id, data: self.report_maker.on_clear(task_id, data))
