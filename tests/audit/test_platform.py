"""The platform's settings, over the API."""

import asyncio

import pytest

from tests.support.api.harness import Api, Person
from tests.support.api.problems import problem

SETTINGS = "/api/v1/admin/settings"
AUDIT = "/api/v1/admin/audit"


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
