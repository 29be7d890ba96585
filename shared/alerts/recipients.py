"""Who gets a mail when a rule fires. Addresses are read here and go nowhere else; an unverified one gets nothing."""

from collections.abc import Sequence

from shared.access.store import AccessStore
from shared.alerts.models import Rule
from shared.audit.platform import PlatformSettingsStore
from shared.catalog.store import CatalogStore
from shared.identity.store import AccountStore
from shared.identity.tasks import SendMail


class RuleRecipients:
    """Finds the people who get a mail when a rule fires: a consumer's owner, a merchant's people, or the platform's
    alert recipients."""

    def __init__(
        self, accounts: AccountStore, access: AccessStore, catalog: CatalogStore, settings: PlatformSettingsStore
    ) -> None:
        self._accounts = accounts
        self._access = access
        self._catalog = catalog
        self._settings = settings

    async def mails(self, rule: Rule, subject: str, text: str) -> list[SendMail]:
        """Make mails to the people of the rule's owner."""
        return [SendMail(to=address, subject=subject, text=text) for address in await self._addresses(rule)]

    async def _addresses(self, rule: Rule) -> Sequence[str]:
        if rule.owner_kind == "platform":
            return (await self._settings.current()).alert_recipients
        if rule.owner_kind == "merchant":
            merchant = await self._catalog.merchant(rule.owner_id)
            account_ids = () if merchant is None else merchant.account_ids
        else:
            consumer = await self._access.consumer(rule.owner_id)
            account_ids = () if consumer is None or consumer.account_id is None else (consumer.account_id,)
        stored = [await self._accounts.account(account_id) for account_id in account_ids]
        return [
            one.value.email
            for one in stored
            if one is not None and one.value.email is not None and one.value.email_verified
        ]
