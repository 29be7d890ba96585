"""Platform settings and the audit log, over the API."""

import asyncio
import json
from pathlib import Path

import pytest

from shared.audit.chain import head_of, verify
from shared.audit.models import SYSTEM, Change, Entry
from tests.support.api.harness import Api, Person
from tests.support.api.problems import problem

SETTINGS = "/api/v1/admin/settings"
AUDIT = "/api/v1/admin/audit"


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.sign_in("Admin", admin=True)


async def tag(admin: Person) -> dict[str, str]:
    return {"If-Match": (await admin.get(SETTINGS)).headers["etag"]}


class TestSettings:
    async def test_defaults_hold_until_they_are_changed(self, api: Api, admin: Person) -> None:
        before = (await admin.get(SETTINGS)).json()
        assert before["commission_percent"] == "10"
        answer = await admin.patch(
            SETTINGS, json={"commission_percent": "12.5", "reason": "new year"}, headers=await tag(admin)
        )
        assert answer.status_code == 200, answer.text
        assert answer.json() == {**before, "commission_percent": "12.5"}
        assert str((await api.app.audit.platform_settings.current()).commission_percent) == "12.5"

    async def test_a_change_is_audited_with_before_and_after(self, admin: Person) -> None:
        await admin.patch(SETTINGS, json={"invite_days": 3, "reason": "stricter"}, headers=await tag(admin))
        (entry,) = (await admin.get(AUDIT, params={"resource": "settings:platform"})).json()["items"]
        assert entry["before"] == {"invite_days": 14}
        assert entry["after"] == {"invite_days": 3}
        assert (entry["actor"], entry["role"], entry["reason"]) == (admin.account.id, "admin", "stricter")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("commission_percent", "100.01"),
            ("commission_percent", "-1"),
            ("commission_percent", "NaN"),
            ("commission_percent", "1.23456"),
            ("invite_days", 0),
            ("invite_days", 91),
            ("leaked_key_action", "sell"),
            ("alert_recipients", ["a@b.example"] * 21),
            ("reason", ""),
            ("unknown", 1),
        ],
    )
    async def test_a_value_that_breaks_a_rule_is_refused_by_name(
        self, admin: Person, field: str, value: object
    ) -> None:
        body = {"reason": "test", field: value}
        answer = await admin.patch(SETTINGS, json=body, headers=await tag(admin))
        assert problem(answer) == (400, "request_invalid")
        assert answer.json()["errors"][0]["field"].startswith(field)

    async def test_a_change_needs_the_tag_that_was_read(self, admin: Person) -> None:
        body = {"invite_days": 3, "reason": "test"}
        assert problem(await admin.patch(SETTINGS, json=body)) == (428, "precondition_required")
        stale = await tag(admin)
        assert (await admin.patch(SETTINGS, json=body, headers=stale)).status_code == 200
        assert problem(await admin.patch(SETTINGS, json=body, headers=stale)) == (412, "precondition_failed")

    async def test_one_of_many_changes_at_once_wins(self, admin: Person) -> None:
        headers = await tag(admin)
        bodies = [{"invite_days": days, "reason": "race"} for days in range(1, 51)]
        answers = await asyncio.gather(*(admin.patch(SETTINGS, json=body, headers=headers) for body in bodies))
        assert sorted({answer.status_code for answer in answers}) in ([200, 409], [200, 412], [200, 409, 412])
        assert sum(answer.status_code == 200 for answer in answers) == 1

    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    async def test_only_admins_may(self, api: Api, method: str) -> None:
        ann = await api.sign_in("Ann")
        assert problem(await ann.request(method, SETTINGS, json={"reason": "x"})) == (403, "forbidden")
        assert problem(await api.anonymous.request(method, SETTINGS, json={"reason": "x"})) == (401, "token_missing")


class TestAudit:
    @pytest.fixture
    async def filled(self, api: Api, admin: Person) -> Person:
        for number in range(30):
            change = Change(SYSTEM, "thing.change", f"thing:{number}", {}, {"note": "=HYPERLINK(1)"}, reason="=1+1")
            await api.app.audit.log.append(Entry.of(change, f"2026-{9 + number % 3:02d}-01T00:00:{number:02d}.000Z"))
        return admin

    async def test_pages_go_through_everything_once(self, filled: Person) -> None:
        found: list[str] = []
        cursor: str | None = None
        while True:
            params = {"actor": "system", "limit": "7", **({"cursor": cursor} if cursor else {})}
            page = (await filled.get(AUDIT, params=params)).json()
            found += [entry["resource"] for entry in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len([one for one in found if one.startswith("thing:")]) == 30
        assert len(set(found)) == len(found)

    async def test_an_export_can_be_verified_elsewhere(self, filled: Person, tmp_path: Path) -> None:
        answer = await filled.get(f"{AUDIT}/export", params={"to": "2026-10-31T00:00:00Z"})
        entries = [Entry.model_validate_json(line) for line in answer.text.splitlines()]
        assert len([one for one in entries if one.action == "thing.change"]) == 20
        september = [entry for entry in entries if entry.time.startswith("2026-09")]

        async def each():  # type: ignore[no-untyped-def]  # an async generator of entries
            for entry in september:
                yield entry

        assert await verify("2026-09", each(), head_of("2026-09", september[-1])) == []

    async def test_csv_carries_no_formula(self, filled: Person) -> None:
        answer = await filled.get(f"{AUDIT}/export", params={"format": "csv", "action": "thing.change"})
        assert answer.headers["content-type"].startswith("text/csv")
        lines = answer.text.splitlines()
        assert len(lines) == 31
        assert all(",'=1+1," in line for line in lines[1:])

    @pytest.mark.parametrize(
        "params",
        [{"from": "yesterday"}, {"from": "2026-01-01T00:00:00"}, {"limit": "0"}, {"limit": "101"}, {"cursor": "x"}],
    )
    async def test_bad_questions_are_refused(self, admin: Person, params: dict[str, str]) -> None:
        answer = await admin.get(AUDIT, params=params)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] in {"from", "limit", "cursor"}

    async def test_only_admins_may(self, api: Api) -> None:
        ann = await api.sign_in("Ann")
        for path in (AUDIT, f"{AUDIT}/export"):
            assert problem(await ann.get(path)) == (403, "forbidden")

    async def test_nobody_can_change_the_log(self, admin: Person) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await admin.request(method, AUDIT)).status_code == 405


async def test_the_page_of_the_api_uses_only_its_own_assets(api: Api) -> None:
    page = await api.anonymous.get("/api/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace('lang="en"', "")
    for asset in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js", "favicon-32x32.png"):
        answer = await api.anonymous.get(f"/api/docs/{asset}")
        assert answer.status_code == 200
        again = await api.anonymous.get(f"/api/docs/{asset}", headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304
    assert problem(await api.anonymous.get("/api/docs/..%2f__init__.py")) == (404, "not_found")


async def test_the_description_is_json_and_names_actions(api: Api) -> None:
    document = json.loads((await api.anonymous.get("/api/v1/openapi.json")).text)
    assert document["paths"]["/api/v1/admin/settings"]["patch"]["x-ams-action"] == "settings.update"
    assert set(document["paths"]["/api/v1/admin/settings"]["patch"]["responses"]) >= {"400", "401", "403", "412", "428"}
