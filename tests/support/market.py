"""The one builder of markets: puts what a market consists of into the stores, as it is given, past the services' rules.

What a test does not say is as most of them want it: the merchant `mer_1` offers the service `maps` (`svc_maps`), and
the consumer `con_1` may call it with a key. Every market of the tests is built with it, whatever else it has:
`Embedded` and `Books` on the stores alone, those of `tests/support/api` under an application, `Operator` beside a host.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from scripts.seeding.documents import (
    add_key,
    put_consumer,
    put_grant,
    put_merchant,
    put_project,
    put_service,
)
from shared.access.keys.format import PREFIX_CHARACTERS, KeyHasher, new_key
from shared.access.models import ApiKey, Consumer, Grant, Member, Project
from shared.access.store import ACCESS, AccessStore, key_document, member_document
from shared.billing.charges import CHARGE
from shared.billing.prices.models import Plan
from shared.billing.prices.store import plan_document
from shared.billing.profiles.models import BillingProfile
from shared.billing.profiles.store import PROFILE
from shared.billing.store import BILLING
from shared.bootstrap import Application
from shared.catalog.models import Merchant, Service, UpstreamConfig
from shared.catalog.store import CatalogStore
from shared.kernel.documents import StoredModel

PER_REQUEST = {"id": "calls", "name": "API calls", "metric": "requests", "model": "per_unit", "unit_price": "0.01"}
Model = TypeVar("Model", bound=StoredModel)


def consumer(**fields: Any) -> Consumer:
    return Consumer(**{"id": "con_1", "name": "Consumer", **fields})


def merchant(**fields: Any) -> Merchant:
    return Merchant(**{"id": "mer_1", "slug": "acme", "name": "Acme", "status": "active", **fields})


def service(slug: str = "maps", **fields: Any) -> Service:
    """A service whose calls are forwarded; with `upstream=None` it only takes usage reports."""
    made = {
        "id": f"svc_{slug}",
        "merchant_id": "mer_1",
        "slug": slug,
        "name": slug.title(),
        "status": "active",
        "upstream": UpstreamConfig(base_url="https://upstream.example"),
    }
    return Service(**{**made, **fields})


def grant(**fields: Any) -> Grant:
    return Grant(**{"consumer_id": "con_1", "service_id": "svc_maps", "status": "approved", **fields})


def api_key(clear: str, hasher: KeyHasher, **fields: Any) -> ApiKey:
    made = {
        "id": "key_1",
        "consumer_id": "con_1",
        "hash": hasher.hash(clear),
        "name": "key",
        "prefix": clear[:PREFIX_CHARACTERS],
        "last4": clear[-4:],
        "service_ids": ("svc_maps",),
    }
    return ApiKey(**{**made, **fields})


def plan(*charges: dict[str, Any], begin: datetime, **fields: Any) -> Plan:
    """The first version of the service's prices."""
    made = {
        "service_id": "svc_maps",
        "merchant_id": "mer_1",
        "number": 1,
        "name": "Standard",
        "currency": "EUR",
        "charges": tuple(CHARGE.validate_python(charge) for charge in charges),
        "effective_from": begin,
        "created_at": begin,
        "created_by": "acc_1",
    }
    return Plan(**{**made, **fields})


class MarketBuilder:
    """Each verb takes the fields of a model that differ from the functions above, and returns what it put."""

    def __init__(
        self, access: AccessStore, catalog: CatalogStore, load_hasher: Callable[[], Awaitable[KeyHasher]]
    ) -> None:
        self.access = access
        self.catalog = catalog
        self.documents = access.documents
        self._load_hasher = load_hasher

    @classmethod
    def of(cls, app: Application) -> "MarketBuilder":
        return cls(app.access.store, app.catalog.store, app.access.load_hasher)

    async def put(self, model: Model, **changes: Any) -> Model:
        """Store a model, changed, whatever was there."""
        changed = type(model).model_validate({**model.model_dump(), **changes})
        match changed:
            case Merchant():
                await put_merchant(self.catalog, changed)
            case Service():
                await put_service(self.catalog, changed)
            case Consumer():
                await put_consumer(self.access, changed)
            case Grant():
                await put_grant(self.access, changed)
            case Project():
                await put_project(self.access, changed)
            case ApiKey():
                await put_key(self.access, changed)
            case Member():
                document = member_document(changed.project_id, changed.account_id)
                await self.documents.upsert(ACCESS, changed.consumer_id, document, changed.to_json())
            case Plan():
                document = plan_document(changed.service_id, changed.number)
                await self.documents.upsert(BILLING, changed.merchant_id, document, changed.to_json())
            case BillingProfile():
                await self.documents.upsert(BILLING, changed.merchant_id, PROFILE, changed.to_json())
            case _:
                raise TypeError(f"no market has a {type(model).__name__}")
        return changed

    async def merchant(self, **fields: Any) -> Merchant:
        return await self.put(merchant(**fields))

    async def service(self, slug: str = "maps", **fields: Any) -> Service:
        return await self.put(service(slug, **fields))

    async def consumer(self, **fields: Any) -> Consumer:
        return await self.put(consumer(**fields))

    async def grant(self, **fields: Any) -> Grant:
        return await self.put(grant(**fields))

    async def project(self, id: str = "prj_1", **fields: Any) -> Project:
        return await self.put(Project(**{"id": id, "consumer_id": "con_1", "name": id, **fields}))

    async def key(self, clear: str | None = None, **fields: Any) -> tuple[ApiKey, str]:
        """A key and its clear text."""
        clear = clear or new_key(fields.get("environment", "live"))
        key = api_key(clear, await self._load_hasher(), **fields)
        await add_key(self.access, key)
        return key, clear

    async def plan(self, *charges: dict[str, Any], begin: datetime, **fields: Any) -> Plan:
        return await self.put(plan(*charges, begin=begin, **fields))

    async def profile(self, begin: datetime, **fields: Any) -> BillingProfile:
        """How the merchant bills, from a moment on; over the profile that is there."""
        made = {"merchant_id": "mer_1", "number_prefix": "ACME", "billing_from": begin}
        return await self.put(BillingProfile(**{**made, **fields}))


async def put_key(store: AccessStore, key: ApiKey) -> None:
    """Change what is kept of an existing key, whatever it is. Its hash stays as it was."""
    await store.documents.upsert(ACCESS, key.consumer_id, key_document(key.id), key.to_json())
    store.changed()
