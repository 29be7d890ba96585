"""`/api/v1/me`: one's own account and sessions."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import AfterValidator, AwareDatetime, Field

from shared.identity.accounts.service import Accounts
from shared.identity.guard import allowed
from shared.identity.models import Account, AccountStatus, Caller, Role, Session
from shared.identity.parts import IdentityParts
from shared.identity.sign_in.sessions import Sessions
from shared.identity.store import AccountStore
from shared.kernel.documents import Stored
from shared.kernel.http.etags import check_match, entity_tag
from shared.kernel.http.fields import AccountId, NextCursor, SessionId
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.problems import not_found
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View

router = APIRouter(tags=["account"])


class AccountView(View):
    """An account. An account is one person."""

    id: AccountId
    email: str | None
    """E-mail address of the person; null if the sign-in provider names none."""
    email_verified: bool
    """Whether the sign-in provider has verified the e-mail address."""
    name: str
    """Name of the person, as they or the sign-in provider wrote it."""
    status: AccountStatus
    """Status of the account; every request of a `suspended` account is refused."""
    roles: list[Role]
    """Roles of the account, for `X-AMS-Role`. Every account has the role `consumer`."""
    is_admin: bool
    """Whether the account is an admin of the platform."""
    consumer_id: str
    """Id of the account's own consumer."""
    merchant_ids: list[str]
    """Ids of the merchants that the account acts for."""
    created_at: AwareDatetime
    """Time of the first sign-in."""


class SessionView(View):
    """A session: one sign-in."""

    id: SessionId
    started_at: AwareDatetime
    """Start of the attempt."""
    seen_at: AwareDatetime
    """Time of the last use, accurate within 5 minutes."""
    user_agent: str
    """User agent of the browser or program."""
    current: bool
    """Whether the session is the one of this request."""


class SessionList(View):
    """A page of sessions."""

    items: list[SessionView]
    """Items of the page."""
    next_cursor: NextCursor


def _check_printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("must not hold control characters or line breaks")
    return name


class AccountChange(Input):
    """A change of your account: only what is given is changed."""

    name: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_check_printable)]
    """Your name, as others see it, such as the members of your projects."""


AccountStorePart = Annotated[AccountStore, Depends(provided(IdentityParts, lambda identity: identity.store))]
AccountsPart = Annotated[Accounts, Depends(provided(IdentityParts, lambda identity: identity.accounts))]
SessionsPart = Annotated[Sessions, Depends(provided(IdentityParts, lambda identity: identity.sessions))]


def account_view(account: Account) -> AccountView:
    own = account.model_dump(include=set(AccountView.model_fields))
    return AccountView(roles=sorted(account.roles), is_admin=account.role == "admin", **own)


def answer(response: Response, stored: Stored[Account]) -> AccountView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return account_view(stored.value)


async def find_account(store: AccountStore, account_id: AccountId) -> Stored[Account]:
    """Raises Problem 404."""
    stored = await store.account(account_id)
    if stored is None:
        raise not_found()
    return stored


@router.get("/me", summary="Read your account")
async def read_me(
    caller: Annotated[Caller, Depends(allowed("account.read_own"))],
    store: AccountStorePart,
    response: Response,
) -> AccountView:
    """Read your own account and the roles in which you may act."""
    return answer(response, await find_account(store, caller.account.id))


@router.patch("/me", summary="Change your account")
async def change_me(
    caller: Annotated[Caller, Depends(allowed("account.update_own"))],
    store: AccountStorePart,
    accounts: AccountsPart,
    change: AccountChange,
    response: Response,
    if_match: IfMatch = None,
) -> AccountView:
    """Change your name. Your e-mail address is changed at the sign-in provider."""
    stored = await find_account(store, caller.account.id)
    check_match(if_match, stored.etag)
    return answer(response, await accounts.rename(caller.actor, stored, change.name))


@router.get("/me/sessions", summary="List your sessions")
async def list_sessions(
    caller: Annotated[Caller, Depends(allowed("session.list"))],
    sessions: SessionsPart,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> SessionList:
    """List your active sessions, last used first. A page may be short without being the last one."""
    page = await sessions.list(caller.account, limit, cursor)
    return SessionList(items=[_session(session, caller) for session in page.items], next_cursor=page.cursor)


@router.delete("/me/sessions", status_code=204, summary="End all your sessions")
async def end_sessions(
    caller: Annotated[Caller, Depends(allowed("session.end"))],
    store: AccountStorePart,
    sessions: SessionsPart,
) -> None:
    """End all your sessions, including this one: every token issued until now is refused."""
    stored = await find_account(store, caller.account.id)
    await sessions.end_all(caller.actor, stored)


@router.delete("/me/sessions/{session_id}", status_code=204, summary="End one of your sessions")
async def end_session(
    caller: Annotated[Caller, Depends(allowed("session.end"))],
    sessions: SessionsPart,
    session_id: SessionId,
) -> None:
    """End one of your sessions. Its tokens are refused, also those that the provider renews for it."""
    if not await sessions.end(caller.actor, caller.account.id, session_id):
        raise not_found()


def _session(session: Session, caller: Caller) -> SessionView:
    shown = session.model_dump(include=set(SessionView.model_fields))
    return SessionView(current=session.id == caller.session_id, **shown)
