"""`/api/v1/admin/accounts`: the people, as admins see them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import AwareDatetime, Field

from shared.identity.accounts.routes import (
    AccountsPart,
    AccountStorePart,
    AccountView,
    SessionsPart,
    account_view,
    answer,
    find_account,
)
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import check_match, entity_tag
from shared.kernel.http.fields import AccountId, NextCursor
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.schemas import DecisionReason, View

router = APIRouter(prefix="/admin/accounts", tags=["accounts"])


class LoginView(View):
    """A sign-in method of an account."""

    issuer: str
    """Issuer URL of the sign-in provider."""
    subject: str
    """Id of the person at the sign-in provider."""
    email: str | None
    """E-mail address, as the provider last reported it; null if it reported none."""
    linked_at: AwareDatetime
    """Time of the first sign-in with this method."""


class AccountDetail(AccountView):
    """An account with its sign-in methods."""

    logins: list[LoginView]
    """All sign-in methods of the account. Each of them gives full access to the account."""


class AccountList(View):
    """A page of accounts."""

    items: list[AccountView]
    """Items of the page."""
    next_cursor: NextCursor


class AdminRole(DecisionReason):
    """Whether an account is an admin."""

    admin: Annotated[bool, Field(strict=True)]
    """`true` gives the admin role, `false` takes it."""


@router.get("", summary="List all accounts")
async def list_accounts(
    caller: Annotated[Caller, Depends(allowed("account.list"))],
    accounts: AccountsPart,
    email: Annotated[
        str | None,
        Query(min_length=1, max_length=254, description="Only accounts whose e-mail address starts with this."),
    ] = None,
    role: Annotated[Literal["admin"] | None, Query(description="`admin`: only admins.")] = None,
    limit: PageSize = 20,
    cursor: Cursor = None,
) -> AccountList:
    """List accounts: ordered by e-mail address if `email` is given, otherwise in no defined order."""
    page = await accounts.list(email, role, limit, cursor)
    return AccountList(items=[account_view(account) for account in page.items], next_cursor=page.cursor)


@router.get("/{account_id}", summary="Read an account")
async def read_account(
    caller: Annotated[Caller, Depends(allowed("account.read"))],
    store: AccountStorePart,
    account_id: AccountId,
    response: Response,
) -> AccountDetail:
    """Read an account with its sign-in methods."""
    stored = await find_account(store, account_id)
    response.headers["ETag"] = entity_tag(stored.etag)
    logins = await store.logins(account_id)
    shown = [LoginView(**login.model_dump(include=set(LoginView.model_fields))) for login in logins]
    return AccountDetail(logins=shown, **account_view(stored.value).model_dump())


@router.post("/{account_id}/suspend", summary="Suspend an account")
async def suspend_account(
    caller: Annotated[Caller, Depends(allowed("account.suspend"))],
    store: AccountStorePart,
    accounts: AccountsPart,
    account_id: AccountId,
    why: DecisionReason,
    response: Response,
) -> AccountView:
    """Suspend an account: its next request is refused. API keys of its consumer keep working."""
    stored = await find_account(store, account_id)
    return answer(response, await accounts.suspend(caller.actor, stored, why.reason))


@router.post("/{account_id}/restore", summary="Restore an account")
async def restore_account(
    caller: Annotated[Caller, Depends(allowed("account.suspend"))],
    store: AccountStorePart,
    accounts: AccountsPart,
    account_id: AccountId,
    why: DecisionReason,
    response: Response,
) -> AccountView:
    """Lift an account's suspension."""
    stored = await find_account(store, account_id)
    return answer(response, await accounts.restore(caller.actor, stored, why.reason))


@router.put("/{account_id}/admin-role", summary="Set an account's admin role")
async def set_admin_role(
    caller: Annotated[Caller, Depends(allowed("account.set_admin"))],
    store: AccountStorePart,
    accounts: AccountsPart,
    account_id: AccountId,
    role: AdminRole,
    response: Response,
    if_match: IfMatch = None,
) -> AccountView:
    """Give or take the admin role. Nobody can take it from themselves, so at least one admin remains."""
    stored = await find_account(store, account_id)
    check_match(if_match, stored.etag)
    await accounts.set_admin(caller.actor, stored, role.admin, role.reason)
    return answer(response, await find_account(store, account_id))


@router.post("/{account_id}/end-sessions", summary="End an account's sessions")
async def end_account_sessions(
    caller: Annotated[Caller, Depends(allowed("account.end_sessions"))],
    store: AccountStorePart,
    sessions: SessionsPart,
    account_id: AccountId,
    why: DecisionReason,
    response: Response,
) -> AccountView:
    """End all sessions of an account: every token issued until now is refused."""
    stored = await find_account(store, account_id)
    return answer(response, await sessions.end_all(caller.actor, stored, why.reason))
