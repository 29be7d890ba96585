"""Accounts, as admins see and change them."""

from pathlib import Path

import pytest

from shared.access.models import Consumer
from tests.emulators.issuer import Issuer
from tests.support.api.harness import Api, Person


async def _etag(admin: Person, account_id: str) -> str:
    return (await admin.get(f"/api/v1/admin/accounts/{account_id}")).headers["etag"]


async def _set_admin(admin: Person, person: Person, value: object, **fields: object) -> tuple[int, str]:
    path = f"/api/v1/admin/accounts/{person.account.id}"
    headers = {"If-Match": await _etag(admin, person.account.id)}
    answer = await admin.put(f"{path}/admin-role", json={"admin": value, "reason": "r", **fields}, headers=headers)
    return answer.status_code, answer.json().get("code", "")


@pytest.fixture
async def root(api: Api) -> Person:
    return await api.sign_in("Root", admin=True, email="root@example.com")


async def _entry(root: Person, action: str) -> dict[str, object]:
    (entry,) = (await root.get(f"/api/v1/admin/audit?action={action}")).json()["items"]
    return dict(entry)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/{id}"),
        ("POST", "/{id}/suspend"),
        ("POST", "/{id}/restore"),
        ("PUT", "/{id}/admin-role"),
        ("POST", "/{id}/end-sessions"),
    ],
)
async def test_only_admins(api: Api, root: Person, method: str, path: str) -> None:
    ann = await api.sign_in("Ann")
    for target in (ann, root):
        whole = "/api/v1/admin/accounts" + path.format(id=target.account.id)
        answer = await ann.request(method, whole, json={"reason": "r"} if method != "GET" else None)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("POST", "/suspend", {"reason": "r"}),
        ("POST", "/restore", {"reason": "r"}),
        ("PUT", "/admin-role", {"admin": True, "reason": "r"}),
        ("POST", "/end-sessions", {"reason": "r"}),
    ],
)
async def test_an_account_that_is_not_there(api: Api, root: Person, method: str, path: str, body: object) -> None:
    answer = await root.request(method, f"/api/v1/admin/accounts/acc_none{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_an_account_is_shown_with_its_ways_to_sign_in(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann", email="ann@example.com")

    answer = await root.get(f"/api/v1/admin/accounts/{ann.account.id}")

    body = answer.json()
    assert answer.headers["etag"]
    assert (body["id"], body["name"], body["status"], body["roles"]) == (ann.account.id, "Ann", "active", ["consumer"])
    (login,) = body["logins"]
    assert (login["issuer"], login["email"]) == (api.issuer.url, "ann@example.com")


async def test_accounts_are_listed_in_pages(api: Api, root: Person) -> None:
    people = {(await api.sign_in(f"P{number}")).account.id for number in range(4)} | {root.account.id}
    found: list[str] = []
    cursor = ""
    while True:
        page = (await root.get(f"/api/v1/admin/accounts?limit=2{cursor}")).json()
        found += [item["id"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(found) == sorted(people)


async def test_accounts_are_found_by_address_and_role(api: Api, root: Person) -> None:
    for email in ("b@one.example", "a@one.example", "a@two.example"):
        await api.sign_in("P", email=email)

    by_address = (await root.get("/api/v1/admin/accounts?email=A@")).json()["items"]
    admins = (await root.get("/api/v1/admin/accounts?role=admin")).json()["items"]

    assert [item["email"] for item in by_address] == ["a@one.example", "a@two.example"]
    assert [item["id"] for item in admins] == [root.account.id]


async def test_a_cursor_of_another_list_is_refused(api: Api, root: Person) -> None:
    await api.sign_in("Ann")
    cursor = (await root.get("/api/v1/admin/accounts?limit=1")).json()["next_cursor"]
    for path in (f"?limit=1&role=admin&cursor={cursor}", "?cursor=x", "?cursor="):
        answer = await root.get(f"/api/v1/admin/accounts{path}")
        assert (answer.status_code, answer.json()["code"]) == (400, "cursor_invalid")


async def test_a_suspended_account_is_out_until_it_is_restored(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")
    path = f"/api/v1/admin/accounts/{ann.account.id}"

    suspended = await root.post(f"{path}/suspend", json={"reason": "spam"})

    assert (suspended.status_code, suspended.json()["status"]) == (200, "suspended")
    assert suspended.headers["etag"] == await _etag(root, ann.account.id)
    refused = await ann.get("/api/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (403, "account_suspended")
    again = await root.post(f"{path}/suspend", json={"reason": "spam"})
    assert (again.status_code, again.json()["code"]) == (409, "state_invalid")
    entry = await _entry(root, "account.suspend")
    assert (entry["actor"], entry["reason"], entry["before"], entry["after"]) == (
        root.account.id,
        "spam",
        {"status": "active"},
        {"status": "suspended"},
    )

    assert (await root.post(f"{path}/restore", json={"reason": "sorry"})).json()["status"] == "active"
    assert (await ann.get("/api/v1/me")).status_code == 200
    assert (await root.post(f"{path}/restore", json={"reason": "sorry"})).status_code == 409


async def test_suspending_an_account_leaves_its_consumer_alone(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")
    await root.post(f"/api/v1/admin/accounts/{ann.account.id}/suspend", json={"reason": "spam"})
    consumer = await api.app.access.store.consumer(ann.account.consumer_id)
    assert isinstance(consumer, Consumer)
    assert consumer.status == "active"


@pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": " "}, {"reason": "r", "status": "active"}, [], None])
async def test_a_decision_needs_a_reason_and_nothing_else(api: Api, root: Person, body: object) -> None:
    ann = await api.sign_in("Ann")
    for verb in ("suspend", "restore", "end-sessions"):
        answer = await root.post(f"/api/v1/admin/accounts/{ann.account.id}/{verb}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "request_invalid")


async def test_an_admin_makes_and_unmakes_admins(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")
    assert (await ann.get("/api/v1/admin/accounts")).status_code == 403

    assert await _set_admin(root, ann, True) == (200, "")
    assert await _set_admin(root, ann, True) == (200, ""), "again changes nothing"
    assert (await ann.get("/api/v1/admin/accounts")).status_code == 200
    assert await _set_admin(ann, root, False) == (200, "")
    assert (await root.get("/api/v1/admin/accounts")).status_code == 403


async def test_nobody_takes_the_role_away_from_themselves(api: Api, root: Person) -> None:
    """And so there is always an admin."""
    await api.sign_in("Other", admin=True)
    assert await _set_admin(root, root, False) == (409, "state_invalid")
    assert (await root.reload()).role == "admin"


async def test_an_admin_is_not_suspended(api: Api, root: Person) -> None:
    other = await api.sign_in("Other", admin=True)
    for target in (root, other):
        answer = await root.post(f"/api/v1/admin/accounts/{target.account.id}/suspend", json={"reason": "r"})
        assert (answer.status_code, answer.json()["code"]) == (409, "state_invalid")


async def test_a_suspended_account_does_not_become_an_admin(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")
    await root.post(f"/api/v1/admin/accounts/{ann.account.id}/suspend", json={"reason": "spam"})
    assert await _set_admin(root, ann, True) == (409, "state_invalid")


@pytest.mark.parametrize("value", [None, 1, "true", "yes"])
async def test_the_role_is_true_or_false(api: Api, root: Person, value: object) -> None:
    ann = await api.sign_in("Ann")
    assert await _set_admin(root, ann, value) == (400, "request_invalid")


async def test_the_role_needs_the_etag_that_was_read(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")
    path = f"/api/v1/admin/accounts/{ann.account.id}/admin-role"
    body = {"admin": True, "reason": "r"}
    assert (await root.put(path, json=body)).status_code == 428
    assert (await root.put(path, json=body, headers={"If-Match": '"old"'})).status_code == 412
    assert (await ann.reload()).role is None


async def test_an_admin_by_setting_stays_one(folder: Path, issuer: Issuer) -> None:
    async with Api(folder, issuer, AMS_ADMINS="first@example.com") as api:
        first, root = await api.sign_in("First", email="first@example.com"), await api.sign_in("Root", admin=True)
        await first.reload()
        assert await _set_admin(root, first, False) == (409, "admin_by_setting")
        assert (await first.reload()).role == "admin"


async def test_an_admin_ends_somebodys_sessions(api: Api, root: Person) -> None:
    ann = await api.sign_in("Ann")

    answer = await root.post(f"/api/v1/admin/accounts/{ann.account.id}/end-sessions", json={"reason": "stolen phone"})

    assert answer.status_code == 200
    refused = await ann.get("/api/v1/me")
    assert (refused.status_code, refused.json()["code"]) == (401, "session_ended")
    entry = await _entry(root, "account.end_sessions")
    assert (entry["reason"], entry["resource"]) == ("stolen phone", f"account:{ann.account.id}")
