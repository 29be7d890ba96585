"""A market for the tests of services: two merchants with a person each, and an admin."""

from dataclasses import dataclass
from typing import Any

import httpx

from shared.audit.platform import PLATFORM, PlatformSettings
from tests.support.api.harness import Api, Person

COMPLETE: dict[str, Any] = {
    "name": "Weather",
    "slug": "weather",
    "description": "Forecasts for **everywhere**.",
    "upstream": {"base_url": "https://weather.example/v1"},
}


@dataclass
class ServicesMarket:
    """`mia` runs `mer_1`, `max` runs `mer_2`, `root` is an admin."""

    api: Api
    mia: Person
    max: Person
    root: Person

    async def merchant(self, id: str, person: Person | None = None, **changes: Any) -> None:
        accounts = () if person is None else (person.account.id,)
        await self.api.builder.merchant(
            id=id, **{"slug": id.replace("_", "-"), "name": id, "account_ids": accounts, **changes}
        )

    async def draft(
        self, person: Person | None = None, merchant_id: str = "mer_1", /, **changes: Any
    ) -> httpx.Response:
        body = {**COMPLETE, **changes}
        return await (person or self.mia).post(f"/api/v1/merchants/{merchant_id}/services", json=body)

    async def drafted(self, **changes: Any) -> str:
        answer = await self.draft(**changes)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def pending(self, **changes: Any) -> str:
        service_id = await self.drafted(**changes)
        answer = await self.mia.post(f"/api/v1/services/{service_id}/submit")
        assert answer.status_code == 200, answer.text
        return service_id

    async def active(self, **changes: Any) -> str:
        service_id = await self.pending(**changes)
        answer = await self.decide(service_id, "approve")
        assert answer.status_code == 200, answer.text
        return service_id

    async def read(self, service_id: str) -> dict[str, Any]:
        answer = await self.mia.get(f"/api/v1/services/{service_id}")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def etag(self, service_id: str) -> dict[str, str]:
        """As the header of a change."""
        return {"If-Match": (await self.mia.get(f"/api/v1/services/{service_id}")).headers["ETag"]}

    async def edit(self, service_id: str, **changes: Any) -> httpx.Response:
        return await self.mia.patch(f"/api/v1/services/{service_id}", json=changes, headers=await self.etag(service_id))

    async def ask(self, service_id: str, verb: str, **body: Any) -> httpx.Response:
        return await self.mia.post(f"/api/v1/services/{service_id}/{verb}", json=body)

    async def decide(self, service_id: str, verb: str, **body: Any) -> httpx.Response:
        return await self.root.post(f"/api/v1/admin/services/{service_id}/{verb}", json=body)

    async def put_settings(self, **values: Any) -> None:
        """The platform's, at once."""
        body = PlatformSettings(**values).to_json()
        await self.api.app.ports.documents.upsert(PLATFORM, "platform", "platform", body)
        self.api.app.audit.journal.changed()

    async def actions(self) -> list[str]:
        """What the audit log says of services, oldest first."""
        log = self.api.app.audit.log
        entries = [entry async for month in _each(await log.months()) async for entry in log.entries(month)]
        return [entry.action for entry in entries if entry.resource.startswith("service:")]


async def _each(months: Any) -> Any:
    for month in months:
        yield month


async def open_services(api: Api) -> ServicesMarket:
    mia, other, root = await api.sign_in("Mia"), await api.sign_in("Max"), await api.sign_in("Root", admin=True)
    market = ServicesMarket(api, mia, other, root)
    for person, merchant_id in ((mia, "mer_1"), (other, "mer_2")):
        await person.runs(merchant_id)
        await market.merchant(merchant_id, person)
    return market
