"""A merchant registers with an invite.

The order of durable steps: reserve the slug; use the invite up, which decides, together with tasks that create the
merchant and let the account run it. A kill after the first step leaves a reservation, which anybody may take over some
minutes later, since its invite was not used for it; a kill after the second is finished by the timer, however late.
"""

import contextlib
from collections.abc import Callable
from datetime import datetime

from shared.audit.models import Actor, changed
from shared.audit.platform import PlatformSettingsStore
from shared.audit.tasks import Task, create
from shared.catalog.mails import CatalogMails
from shared.catalog.merchants.invites import Invites, invalid_invite
from shared.catalog.models import Address, Merchant, MerchantSlugOwner
from shared.catalog.store import MERCHANT_SLUGS, MERCHANTS, RESERVED
from shared.identity.mails import one_line
from shared.identity.models import Account
from shared.identity.tasks import JoinMerchant
from shared.kernel.clock import utc_now
from shared.kernel.errors import FieldError, Problem
from shared.kernel.ids import new_id
from shared.platform.documents import DocumentExists, DocumentMissing, Documents, PreconditionFailed

MERCHANT_SECRETS = frozenset({"tax_id"})
"""Personal data that the audit log does without."""


class Registration:
    """Makes a merchant of whoever has an invite."""

    def __init__(
        self,
        documents: Documents,
        invites: Invites,
        settings: PlatformSettingsStore,
        mails: CatalogMails,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._invites = invites
        self._settings = settings
        self._mails = mails
        self._now = now

    async def register(
        self,
        actor: Actor,
        account: Account,
        code: str,
        *,
        slug: str,
        name: str,
        legal_name: str,
        tax_id: str,
        address: Address | None,
    ) -> Merchant:
        """Make a merchant: pending, or active where the platform's settings say so. Raises Problem 404
        `invite_invalid`, 409 `slug_taken`, 429 `rate_limited`."""
        invite = await self._invites.find(account, code)
        at_once = (await self._settings.current()).merchants_activate_at_once
        merchant = Merchant(
            id=new_id("mer"),
            slug=slug,
            name=name,
            legal_name=legal_name,
            tax_id=tax_id,
            address=address,
            status="active" if at_once else "pending",
            account_ids=(account.id,),
            created_at=self._now(),
        )
        await self._reserve(merchant, invite.value.id)
        change = changed(actor, "merchant.register", f"merchant:{merchant.id}", None, merchant, secret=MERCHANT_SECRETS)
        try:
            await self._invites.accept(actor, invite, merchant.id, change, await self._tasks(account, merchant))
        except Problem as problem:  # 409: somebody else was first
            await self._release(merchant)
            raise invalid_invite() from problem
        return merchant

    async def _tasks(self, account: Account, merchant: Merchant) -> list[Task]:
        """What follows a registration: the merchant's document, the account's membership, a mail to the platform."""
        text = f"{one_line(merchant.name)} ({merchant.slug}) registered and is {merchant.status}.\n"
        return [
            create(MERCHANTS, merchant.id, merchant.id, merchant),
            JoinMerchant(account_id=account.id, merchant_id=merchant.id),
            *await self._mails.to_platform("A merchant registered", text),
        ]

    async def _reserve(self, merchant: Merchant, invite_id: str) -> None:
        slug = merchant.slug
        owner = MerchantSlugOwner(merchant_id=merchant.id, reserved_at=self._now(), invite_id=invite_id)
        try:
            await self._documents.create(MERCHANT_SLUGS, slug, slug, owner.to_json())
        except DocumentExists:
            document = await self._documents.get(MERCHANT_SLUGS, slug, slug)
            before = None if document is None else MerchantSlugOwner.model_validate_json(document.body)
            if document is None or before is None or not await self._is_abandoned(before):
                raise _taken() from None
            try:
                await self._documents.replace(MERCHANT_SLUGS, slug, slug, owner.to_json(), etag=document.etag)
            except (DocumentMissing, PreconditionFailed):
                raise _taken() from None

    async def _is_abandoned(self, owner: MerchantSlugOwner) -> bool:
        """Whether its merchant will never be: it did not get the invite, and no request lasts that long."""
        if owner.invite_id is None or owner.reserved_at > self._now() - RESERVED:
            return False
        return await self._invites.merchant_of(owner.invite_id) != owner.merchant_id

    async def _release(self, merchant: Merchant) -> None:
        document = await self._documents.get(MERCHANT_SLUGS, merchant.slug, merchant.slug)
        if document is None or MerchantSlugOwner.model_validate_json(document.body).merchant_id != merchant.id:
            return
        with contextlib.suppress(DocumentMissing, PreconditionFailed):  # somebody else's by now
            await self._documents.delete(MERCHANT_SLUGS, merchant.slug, merchant.slug, etag=document.etag)


def _taken() -> Problem:
    rule = "must not be another merchant's"
    return Problem(409, "slug_taken", f"`slug` {rule}.", errors=(FieldError("slug", rule),))
