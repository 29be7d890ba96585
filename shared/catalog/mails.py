"""Whom to tell of a decision: mails as tasks of the journal. Addresses are read here and go nowhere else."""

from shared.audit.platform import PlatformSettingsStore
from shared.catalog.models import Merchant
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail


class CatalogMails:
    """Makes mails to the people of a merchant, and to the operators."""

    def __init__(self, accounts: AccountStore, settings: PlatformSettingsStore) -> None:
        self._accounts = accounts
        self._settings = settings

    async def to_merchant(self, merchant: Merchant | None, subject: str, text: str) -> list[SendMail]:
        """Make mails to everybody who acts for the merchant and whose address was verified."""
        mails = []
        for account_id in () if merchant is None else merchant.account_ids:
            stored = await self._accounts.account(account_id)
            if stored is not None and stored.value.email is not None and stored.value.email_verified:
                mails.append(SendMail(to=stored.value.email, subject=subject, text=text))
        return mails

    async def to_platform(self, subject: str, text: str) -> list[SendMail]:
        """Make mails to the operators' alert recipients."""
        recipients = (await self._settings.current()).alert_recipients
        return [SendMail(to=recipient, subject=subject, text=text) for recipient in recipients]
