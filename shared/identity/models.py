"""Accounts, sessions and memberships. All of one account's documents share one partition, its id."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from shared.audit.models import Actor
from shared.kernel.documents import Identifier, Name, StoredModel

Role = Literal["admin", "merchant", "consumer"]
AccountStatus = Literal["active", "suspended"]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
"""Kept in lower case: accounts are linked by it. Deliverability is proven by the provider, not by its shape."""


_email = TypeAdapter(Email)


def clean_email(value: object) -> str | None:
    """Return an e-mail address as accounts are linked by it, or None when it is not one."""
    try:
        return _email.validate_python(value.strip().lower()) if isinstance(value, str) else None
    except ValidationError:
        return None


class Account(StoredModel):
    """A person. `role` is `admin` or absent, and is indexed; merchant and consumer roles follow from `merchant_ids`
    (whose merchants this person runs) and `consumer_id` (the tenant on the consuming side, made at the first sign-in).

    Tokens issued before `tokens_not_before` (Unix seconds) are refused: that ends every session at once.
    """

    kind: Literal["account"] = "account"
    id: Identifier
    email: Email | None = None
    email_verified: bool = False
    name: Name
    status: AccountStatus = "active"
    role: Literal["admin"] | None = None
    merchant_ids: tuple[Identifier, ...] = ()
    consumer_id: Identifier
    tokens_not_before: int = 0
    created_at: AwareDatetime

    @property
    def roles(self) -> frozenset[Role]:
        """All roles that the account holds; everybody is a consumer."""
        held: set[Role] = {"consumer"}
        if self.role == "admin":
            held.add("admin")
        if self.merchant_ids:
            held.add("merchant")
        return frozenset(held)


class Login(StoredModel):
    """One way to sign in to an account: a person's `subject` at an `issuer`. `email` is the last address that the
    provider vouched for."""

    kind: Literal["login"] = "login"
    account_id: Identifier
    issuer: str
    subject: str
    email: Email | None = None
    linked_at: AwareDatetime


class Session(StoredModel):
    """One sign-in, told apart by the provider's `sid`, else by the token's `jti`. `seen_at` is 5 minutes exact.

    It is over when it was `ended`, and when it started before the account's `tokens_not_before`: a provider keeps the
    `sid` when it renews a token, so the time of issue alone would end nothing."""

    kind: Literal["session"] = "session"
    id: Identifier
    account_id: Identifier
    started_at: AwareDatetime
    seen_at: AwareDatetime
    user_agent: str = ""
    ended: bool = False


class Membership(StoredModel):
    """The note that an account is in a project of somebody else's: a list for the account's own pages. What it may do
    is decided by the project's `Member` document (`shared.access`), never by this one."""

    kind: Literal["membership"] = "membership"
    account_id: Identifier
    consumer_id: Identifier
    project_id: Identifier


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A request whose token was verified: the account, and the session that it belongs to. `issued_at` Unix seconds."""

    account: Account
    session_id: str
    issued_at: int

    @property
    def roles(self) -> frozenset[Role]:
        return self.account.roles


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls a route, in which role, and in which relation to the object (`shared.identity.permissions`)."""

    account: Account
    session_id: str
    role: Role
    relation: str
    request_id: str

    @property
    def actor(self) -> Actor:
        return Actor(self.account.id, self.role, self.request_id)
