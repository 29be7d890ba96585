"""Invites for new merchants, as they are stored."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.identity.models import Email
from shared.kernel.documents import Identifier, StoredModel


class MerchantInvite(StoredModel):
    """Lets one account register one merchant. `id` is a hash of the code, which is in the mail and in the answer to the
    admin only. Bound to a verified `email` when there is one. What is `open` may have expired meanwhile."""

    kind: Literal["merchant_invite"] = "merchant_invite"
    id: Identifier
    status: Literal["open", "accepted", "revoked"] = "open"
    email: Email | None = None
    note: Annotated[str, Field(max_length=500)] = ""
    created_by: Identifier
    created_at: AwareDatetime
    expires_at: AwareDatetime
    accepted_by: Identifier | None = None
    merchant_id: Identifier | None = None

    def expired(self, now: datetime) -> bool:
        return self.status == "open" and self.expires_at <= now
