"""The audit log, over the API."""

from pathlib import Path

import pytest

from shared.audit.chain import head_of, verify_chain
from shared.audit.models import SYSTEM, Change, Entry
from tests.support.api.harness import Api, Person
from tests.support.api.problems import problem

SETTINGS = "/api/v1/admin/settings"
AUDIT = "/api/v1/admin/audit"


async def tag(admin: Person) -> dict[str, str]:
    return {"If-Match": (await admin.get(SETTINGS)).headers["etag"]}


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

        assert await verify_chain("2026-09", each(), head_of("2026-09", september[-1])) == []

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
