"""Whom to tell of a decision: mails as tasks of the journal. Addresses are read here and go nowhere else."""

from shared.audit.journal import Task
from shared.audit.platform import PlatformSettingsStore
from shared.catalog.models import Merchant
from shared.identity.mail_task import mail
from shared.identity.store import AccountStore


class CatalogMails:
    def __init__(self, accounts: AccountStore, settings: PlatformSettingsStore) -> None:
        self._accounts = accounts
        self._settings = settings

    async def to_merchant(self, merchant: Merchant | None, subject: str, text: str) -> list[Task]:
        """To everybody who acts for the merchant and whose address was verified."""
        tasks = []
        for account_id in () if merchant is None else merchant.account_ids:
            held = await self._accounts.account(account_id)
            if held is not None and held.value.email is not None and held.value.email_verified:
                tasks.append(mail(held.value.email, subject, text))
        return tasks

    async def to_platform(self, subject: str, text: str) -> list[Task]:
        """To the operators' alert recipients."""
        recipients = (await self._settings.current()).alert_recipients
        return [mail(recipient, subject, text) for recipient in recipients]
