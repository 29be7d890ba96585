"""Where the document says that an answer has an ETag, it has one."""

import re

from scripts.commands.openapi import document
from tests.support.api.harness import Api

PLATFORM = ("/api/v1/admin/settings", "/api/v1/me", "/api/v1/consumers/{consumer_id}")


async def test_what_is_documented_is_sent(api: Api) -> None:
    admin = await api.sign_in("Admin", admin=True)
    described = document()["paths"]
    for path in PLATFORM:
        assert "ETag" in described[path]["get"]["responses"]["200"]["headers"]
        answer = await admin.get(path.format(consumer_id=admin.account.consumer_id))
        assert answer.status_code == 200, path
        assert re.fullmatch(r'"[^"]*"', answer.headers["etag"]), path


async def test_a_list_is_cached_by_its_etag(api: Api) -> None:
    answer = await api.anonymous.get("/api/v1/catalog/services")
    again = await api.anonymous.get("/api/v1/catalog/services", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_star_skips_the_check_and_nothing_does_not(api: Api) -> None:
    ann = await api.sign_in("Ann")
    answers = [
        await ann.patch("/api/v1/me", json={"name": "Ann B"}, headers=headers)
        for headers in ({"If-Match": "*"}, {"If-Match": '"old"'}, {})
    ]
    assert [answer.status_code for answer in answers] == [200, 412, 428]
