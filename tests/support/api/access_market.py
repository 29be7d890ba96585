"""A market for the tests of access: one active merchant with services, its person, and whoever asks for them."""

from dataclasses import dataclass
from typing import Any

import httpx

from shared.access.models import ProjectRole
from shared.audit.models import Actor
from shared.kernel.errors import Problem
from shared.kernel.ids import new_id
from shared.platform.documents import Documents
from tests.support.api.harness import Api, Person


@dataclass
class AccessMarket:
    """`ann` is a consumer, `mia` runs the merchant `mer_1`, `root` is an admin; `maps` (`svc_maps`) is on offer."""

    api: Api
    ann: Person
    mia: Person
    root: Person

    @property
    def consumer_id(self) -> str:
        return self.ann.account.consumer_id

    @property
    def consumer(self) -> str:
        """The path of Ann's consumer."""
        return f"/api/v1/consumers/{self.consumer_id}"

    async def offer(self, slug: str, merchant_id: str = "mer_1", **changes: Any) -> str:
        """A service's id."""
        return (await self.api.builder.service(slug, merchant_id=merchant_id, **changes)).id

    async def merchant(self, id: str = "mer_1", **changes: Any) -> None:
        await self.api.builder.merchant(id=id, **{"slug": id.replace("_", "-"), **changes})

    async def ask(self, service: str = "maps", person: Person | None = None, **body: Any) -> httpx.Response:
        who = person or self.ann
        path = f"/api/v1/consumers/{who.account.consumer_id}/access-requests"
        return await who.post(path, json={"service": service, **body})

    async def grant(self, service: str = "maps", person: Person | None = None) -> None:
        """Asked for and approved."""
        who = person or self.ann
        assert (await self.ask(service, who)).status_code == 201
        assert (await self.decide("approve", f"svc_{service}", who, reason="welcome")).status_code == 200

    async def decide(self, verb: str, service_id: str, person: Person | None = None, **body: Any) -> httpx.Response:
        consumer_id = (person or self.ann).account.consumer_id
        return await self.root.post(f"/api/v1/admin/consumers/{consumer_id}/grants/{service_id}/{verb}", json=body)

    async def key(self, consumer_id: str | None = None, **changes: Any) -> str:
        """A clear key that works for `svc_maps`, unless `changes` say otherwise."""
        fields = {"id": new_id("key"), "consumer_id": consumer_id or self.consumer_id, "name": "secret name of a key"}
        _, clear = await self.api.builder.key(**{**fields, **changes})
        return clear

    async def project(self, name: str = "Road", **body: Any) -> str:
        """The id of a new project of Ann's."""
        answer = await self.ann.post(f"{self.consumer}/projects", json={"name": name, **body})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def join(self, person: Person, project_id: str, role: ProjectRole = "member") -> None:
        actor = Actor(self.ann.account.id, "consumer")
        await self.api.app.access.members.add(actor, person.account, self.consumer_id, project_id, role)

    async def call(self, clear: str, service: str = "maps") -> str:
        """`ok`, or why consume would refuse."""
        gate = self.api.app.access.gate
        try:
            await gate.admit(await gate.identify(clear), service, forwarding=True)
        except Problem as problem:
            return f"{problem.status} {problem.code}"
        return "ok"


async def open_access_market(api: Api) -> AccessMarket:
    ann, mia = await api.sign_in("Ann", email="ann@buyers.example"), await api.sign_in("Mia")
    market = AccessMarket(api, ann, mia, await api.sign_in("Root", admin=True))
    await market.merchant()
    await mia.runs("mer_1")
    await market.offer("maps")
    return market


class DyingDocuments:
    """The real store; transactions and single writes of one container fail once it is told to."""

    def __init__(self, documents: Documents, container: str) -> None:
        self._documents = documents
        self._container = container
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._documents, name)
        if name not in {"transact", "create", "upsert", "replace", "delete"}:
            return found

        async def write(container: Any, *arguments: Any, **named: Any) -> Any:
            if self.dead and container.name == self._container:
                raise RuntimeError("killed")
            return await found(container, *arguments, **named)

        return write
