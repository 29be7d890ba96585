"""Whom to tell of a change: mails as tasks of the journal. Addresses are read here and go nowhere else."""

from shared.access.models import Consumer
from shared.audit.platform import PlatformSettingsStore
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail


class AccessMails:
    """Makes mails to the people of a consumer, and to the operators."""

    def __init__(self, accounts: AccountStore, settings: PlatformSettingsStore) -> None:
        self._accounts = accounts
        self._settings = settings

    async def to_consumer(self, consumer: Consumer | None, subject: str, text: str) -> list[SendMail]:
        """Make a mail to the person whose tenant it is, when the address was verified; else none."""
        if consumer is None or consumer.account_id is None:
            return []
        stored = await self._accounts.account(consumer.account_id)
        if stored is None or stored.value.email is None or not stored.value.email_verified:
            return []
        return [SendMail(to=stored.value.email, subject=subject, text=text)]

    async def to_platform(self, subject: str, text: str) -> list[SendMail]:
        """Make mails to the operators' alert recipients."""
        recipients = (await self._settings.current()).alert_recipients
        return [SendMail(to=recipient, subject=subject, text=text) for recipient in recipients]
