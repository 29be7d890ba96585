"""Invites for merchants: a code that is used once, expires, may be bound to an address, and cannot be guessed.

An invite is one document, whose partition and id are a hash of its code: accepting it replaces that document with its
ETag, in one transaction with whatever follows from it, so of any number of people with the code one is first.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal

from shared.audit.journal import Journal
from shared.audit.models import Actor, Change, changed
from shared.audit.platform import PlatformSettingsStore
from shared.audit.tasks import Task
from shared.catalog.merchants.models import MerchantInvite
from shared.identity.models import Account
from shared.identity.tasks import SendMail
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page, bad_cursor, decode_cursor, encode_cursor
from shared.kernel.http.problems import not_found
from shared.platform.documents import CONTAINERS, Create, Documents, Query, Replace, Where
from shared.platform.limits import Decision, Demand, Limits

INVITES = CONTAINERS["invites"]
CODE_PREFIX = "inv_"
CODE_BYTES = 24
"""192 bits: not to be guessed, so a fast hash is right."""

WRONG_PER_ACCOUNT_MAX = 10
WRONG_EVERYWHERE_MAX = 200
WRONG_WINDOW_S = 3_600
_PERSONAL = frozenset({"email"})
InviteStatus = Literal["open", "accepted", "revoked", "expired"]
"""An invite that expired is kept as `open`: it is the time that tells."""


def code_hash(code: str) -> str:
    return sha256(code.encode()).hexdigest()


class Invites:
    """Makes and checks invites for new merchants; `public_url` is where the portal is served."""

    def __init__(
        self,
        documents: Documents,
        journal: Journal,
        settings: PlatformSettingsStore,
        limits: Limits,
        public_url: str,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._documents = documents
        self._journal = journal
        self._settings = settings
        self._limits = limits
        self._public_url = public_url
        self._now = now

    async def create(
        self, actor: Actor, email: str | None, note: str, days: int | None
    ) -> tuple[Stored[MerchantInvite], str]:
        """Make an invite. Returns it, and its code, which is shown this once; it goes to `email` by mail too."""
        days = days or (await self._settings.current()).invite_days
        code, now = f"{CODE_PREFIX}{secrets.token_urlsafe(CODE_BYTES)}", self._now()
        invite = MerchantInvite(
            id=code_hash(code),
            email=email,
            note=note,
            created_by=actor.account_id,
            created_at=now,
            expires_at=now + timedelta(days=days),
        )
        change = changed(actor, "invite.create", f"invite:{invite.id}", None, invite, secret=_PERSONAL)
        letter = (
            []
            if email is None
            else [SendMail(to=email, subject="Your invite to sell on AMS", text=self._text(invite, code))]
        )
        etags = await self._journal.commit(
            INVITES, invite.id, [Create(invite.id, invite.to_json())], change, tasks=letter
        )
        return Stored(invite, etags[0]), code

    async def read(self, id: str) -> Stored[MerchantInvite]:
        """Read an invite. Raises Problem 404."""
        stored = await self._stored(id)
        if stored is None:
            raise not_found()
        return stored

    async def _stored(self, id: str) -> Stored[MerchantInvite] | None:
        document = await self._documents.get(INVITES, id, id)
        if document is None or b'"merchant_invite"' not in document.body:  # pointers of others live here too
            return None
        return Stored(MerchantInvite.model_validate_json(document.body), document.etag)

    async def page(self, status: InviteStatus | None, limit: int, cursor: str | None) -> Page[MerchantInvite]:
        """List invites, newest first. Raises Problem 400 `cursor_invalid`."""
        list_name = f"merchant_invites:{status}"
        # All pages are as of the first one's time: a store's cursor continues one and the same query.
        position = [format_time(self._now()), None] if cursor is None else decode_cursor(list_name, cursor)
        match position:
            case [str(moment), None | str() as inner]:
                pass
            case _:
                raise bad_cursor()
        where = [Where("kind", "=", "merchant_invite")]
        if status is not None:
            where.append(Where("status", "=", "open" if status == "expired" else status))
        if status in ("open", "expired"):
            where.append(Where("expires_at", "<=" if status == "expired" else ">", moment))
        # Across tenants: the operators' list of their own invites.
        query = Query(None, tuple(where), order_by="created_at", descending=True, limit=limit)
        try:
            page = await self._documents.query(INVITES, query, inner)
        except ValueError:  # a cursor that was made up
            raise bad_cursor() from None
        following = None if page.cursor is None else encode_cursor(list_name, [moment, page.cursor])
        return Page(tuple(MerchantInvite.model_validate_json(document.body) for document in page.items), following)

    async def revoke(self, actor: Actor, id: str, if_match: str | None) -> Stored[MerchantInvite]:
        """Revoke an invite. Raises Problem 404, 412, 428; 409 `state_invalid` unless it is open."""
        stored = await self.read(id)
        check_match(if_match, stored.etag)
        if stored.value.status != "open":
            raise Problem(
                409, "state_invalid", f"The invite is {stored.value.status}; only an open one can be revoked."
            )
        after = stored.value.model_copy(update={"status": "revoked"})
        change = changed(actor, "invite.revoke", f"invite:{id}", stored.value, after)
        etags = await self._journal.commit(INVITES, id, [Replace(id, after.to_json(), stored.etag)], change)
        return Stored(after, etags[0])

    async def find(self, account: Account, code: str) -> Stored[MerchantInvite]:
        """Find the open invite of this code, if it is for this account. Raises Problem 404 `invite_invalid` with one
        answer for whatever is wrong; 429 `rate_limited` for who keeps guessing, whether this guess is right or
        wrong."""
        by_account = Demand(f"invites:{account.id}", "hour", WRONG_PER_ACCOUNT_MAX, WRONG_WINDOW_S)
        everywhere = Demand("invites:everywhere", "hour", WRONG_EVERYWHERE_MAX, WRONG_WINDOW_S)
        stored = await self._stored(code_hash(code))
        if stored is None or not self._is_for(account, stored.value):
            _refuse(await self._limits.take([by_account, everywhere]))
            raise invalid_invite()
        # An invite that is bound to an address is of no use to guessers elsewhere, so they do not lock it out.
        _refuse(await self._limits.peek([by_account, everywhere] if stored.value.email is None else [by_account]))
        return stored

    async def merchant_of(self, id: str) -> str | None:
        """Find the merchant that an invite was used for."""
        stored = await self._stored(id)
        return None if stored is None else stored.value.merchant_id

    def _is_for(self, account: Account, invite: MerchantInvite) -> bool:
        if invite.status != "open" or invite.expired(self._now()):
            return False
        return invite.email is None or (account.email_verified and account.email == invite.email)

    async def accept(
        self,
        actor: Actor,
        stored: Stored[MerchantInvite],
        merchant_id: str,
        change: Change,
        tasks: Sequence[Task],
    ) -> None:
        """Use the invite up for this merchant, once, together with what follows. Raises Problem 409 `conflict` when
        somebody else was first."""
        used = {"status": "accepted", "accepted_by": actor.account_id, "merchant_id": merchant_id}
        after = stored.value.model_copy(update=used)
        write = Replace(after.id, after.to_json(), stored.etag)
        await self._journal.commit(INVITES, after.id, [write], change, tasks=tasks)

    def _text(self, invite: MerchantInvite, code: str) -> str:
        return (
            "You are invited to offer your services on AMS.\n\n"
            f"Sign in with this e-mail address and open:\n{self._public_url}/register?invite={code}\n\n"
            f"The invite works once, until {format_time(invite.expires_at)}.\n"
            "Ignore this mail if you do not expect it.\n"
        )


def _refuse(decision: Decision) -> None:
    """Raises Problem 429 unless it is allowed."""
    if not decision.allowed:
        headers = {"Retry-After": str(decision.reset_s)}
        raise Problem(429, "rate_limited", "Too many wrong invite codes. Try again later.", headers=headers)


def invalid_invite() -> Problem:
    """Make the one problem for all invites that cannot be used, which tells nothing about invites of others."""
    detail = "There is no such invite for you: it was used, revoked, has expired, or is for another address."
    return Problem(404, "invite_invalid", detail)
