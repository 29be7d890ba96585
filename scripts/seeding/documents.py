"""Writing documents of the catalog and of access as they are given, past the rules of the nouns' services: for seeds,
benchmarks and tests. The stores' listeners are told, as after any change of this process."""

from shared.access.models import ApiKey, Consumer, Grant, KeyOwner, Project
from shared.access.store import ACCESS, CONSUMER, AccessStore, grant_document, key_document, project_document
from shared.catalog.models import Merchant, MerchantSlugOwner, Service, SlugOwner
from shared.catalog.store import MERCHANT_SLUGS, MERCHANTS, SERVICES, SLUGS, CatalogStore, SlugTaken
from shared.kernel.clock import format_time, utc_now
from shared.platform.documents import DocumentExists


async def put_merchant(store: CatalogStore, merchant: Merchant) -> None:
    """Write a merchant, whatever was there. Raises SlugTaken. The slug is reserved first: a kill in between leaves a
    reservation that this repeats."""
    owner = MerchantSlugOwner(merchant_id=merchant.id, reserved_at=utc_now())
    try:
        await store.documents.create(MERCHANT_SLUGS, merchant.slug, merchant.slug, owner.to_json())
    except DocumentExists:
        document = await store.documents.get(MERCHANT_SLUGS, merchant.slug, merchant.slug)
        if document is None or MerchantSlugOwner.model_validate_json(document.body).merchant_id != merchant.id:
            raise SlugTaken(f"slug {merchant.slug} belongs to another merchant") from None
    await store.documents.upsert(MERCHANTS, merchant.id, merchant.id, merchant.to_json())
    store.changed()


async def put_service(store: CatalogStore, service: Service) -> None:
    """Write a service, whatever was there. Raises SlugTaken. The slug is reserved first: a kill in between leaves a
    reservation that this repeats. The catalogue takes notice of what is put."""
    owner = SlugOwner(service_id=service.id)
    try:
        await store.documents.create(SLUGS, service.slug, service.slug, owner.to_json())
    except DocumentExists:
        if await store.service_id(service.slug) != service.id:
            raise SlugTaken(f"slug {service.slug} belongs to another service") from None
    listed = service.model_copy(update={"listing": format_time(utc_now())})
    await store.documents.upsert(SERVICES, service.id, service.id, listed.to_json())
    store.changed()


async def put_consumer(store: AccessStore, consumer: Consumer) -> None:
    """Write the consumer, whatever was there."""
    await store.documents.upsert(ACCESS, consumer.id, CONSUMER, consumer.to_json())
    store.changed()


async def put_project(store: AccessStore, project: Project) -> None:
    """Write the project, whatever was there; it gets no owner."""
    await store.documents.upsert(ACCESS, project.consumer_id, project_document(project.id), project.to_json())
    store.changed()


async def put_grant(store: AccessStore, grant: Grant) -> None:
    """Write the grant, whatever was there."""
    await store.documents.upsert(ACCESS, grant.consumer_id, grant_document(grant.service_id), grant.to_json())
    store.changed()


async def add_key(store: AccessStore, key: ApiKey) -> None:
    """Create the key, its hash first, as `KeySecrets` does. Raises DocumentExists when the id or the hash is taken."""
    await store.add_hash(key.hash, KeyOwner(consumer_id=key.consumer_id, key_id=key.id))
    try:
        await store.documents.create(ACCESS, key.consumer_id, key_document(key.id), key.to_json())
    except DocumentExists:
        await store.remove_hash(key.hash)
        raise
    store.changed()
