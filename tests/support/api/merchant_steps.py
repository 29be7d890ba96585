"""Steps of tests about merchants."""

from typing import Any

from tests.support.api.harness import Person

INVITES = "/api/v1/admin/invites"
REGISTER = "/api/v1/merchant-registrations"
MERCHANTS = "/api/v1/admin/merchants"


async def invite(admin: Person, **fields: Any) -> dict[str, Any]:
    answer = await admin.post(INVITES, json=fields)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "etag": answer.headers["etag"]}


def wanted(code: str, slug: str = "meteo", **fields: Any) -> dict[str, Any]:
    return {"invite_code": code, "slug": slug, "name": "Meteo", **fields}


async def register(admin: Person, person: Person, slug: str = "meteo") -> str:
    answer = await person.post(REGISTER, json=wanted((await invite(admin))["code"], slug))
    assert answer.status_code == 201, answer.text
    await person.reload()
    return str(answer.json()["id"])


async def decide(admin: Person, merchant_id: str, decision: str) -> None:
    answer = await admin.post(f"{MERCHANTS}/{merchant_id}/{decision}", json={"reason": "test"})
    assert answer.status_code == 200, answer.text


class Killed(BaseException):
    """As if the process was gone: nothing handles it."""


async def dies(*_: object) -> None:
    raise Killed
