"""Mails about a key: to whose tenant it is, and to the owner of its project."""

from shared.access.mails import AccessMails
from shared.access.models import ApiKey, Member
from shared.access.store import AccessStore, member_document
from shared.identity.mails import one_line
from shared.identity.tasks import SendMail


class KeyMails:
    """Writes mails about a key."""

    def __init__(self, store: AccessStore, mails: AccessMails) -> None:
        self._store = store
        self._mails = mails

    async def about(self, key: ApiKey, subject: str, text: str) -> list[SendMail]:
        """Make mails to the key's consumer and to the owner of its project. `text` follows a line that names the key;
        the key itself is never in it."""
        consumer = await self._store.consumer(key.consumer_id)
        named = f"API key {one_line(key.name)} ({key.id}, {key.prefix}…{key.last4})"
        subject, text = f"{subject}: {one_line(key.name)}", f"{named}\n\n{text}\n"
        mails = await self._mails.to_consumer(consumer, subject, text)
        addressed = {mail.to for mail in mails}
        owner = await self._project_owner(key)
        if owner is not None and owner.email is not None and owner.email not in addressed:
            mails.append(SendMail(to=owner.email, subject=subject, text=text))
        return mails

    async def _project_owner(self, key: ApiKey) -> Member | None:
        if key.project_id is None:
            return None
        members = await self._store.all_of(Member, key.consumer_id, member_document(key.project_id, ""))
        return next((stored.value for stored in members if stored.value.role == "owner"), None)
