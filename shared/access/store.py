"""Consumers, grants, keys and projects in and out of the documents port."""

from typing import TypeVar

from shared.access.models import ApiKey, Consumer, Grant, KeyOwner, Member, Project
from shared.kernel.stored import Listeners, StoredModel
from shared.platform.documents import CONTAINERS, Documents

ACCESS, KEY_HASHES = CONTAINERS["access"], CONTAINERS["key_hashes"]

Model = TypeVar("Model", bound=StoredModel)


class AccessStore(Listeners):
    def __init__(self, documents: Documents) -> None:
        super().__init__()
        self._documents = documents

    async def _get(self, model: type[Model], consumer_id: str, id: str) -> Model | None:
        document = await self._documents.get(ACCESS, consumer_id, id)
        return None if document is None else model.model_validate_json(document.body)

    async def consumer(self, id: str) -> Consumer | None:
        return await self._get(Consumer, id, "consumer")

    async def grant(self, consumer_id: str, service_id: str) -> Grant | None:
        return await self._get(Grant, consumer_id, f"grant:{service_id}")

    async def key(self, consumer_id: str, key_id: str) -> ApiKey | None:
        return await self._get(ApiKey, consumer_id, f"key:{key_id}")

    async def project(self, consumer_id: str, project_id: str) -> Project | None:
        return await self._get(Project, consumer_id, f"project:{project_id}")

    async def member(self, consumer_id: str, project_id: str, account_id: str) -> Member | None:
        return await self._get(Member, consumer_id, f"member:{project_id}:{account_id}")

    async def key_owner(self, key_hash: str) -> KeyOwner | None:
        document = await self._documents.get(KEY_HASHES, key_hash, key_hash)
        return None if document is None else KeyOwner.model_validate_json(document.body)

    async def put_consumer(self, consumer: Consumer) -> None:
        await self._documents.upsert(ACCESS, consumer.id, "consumer", consumer.to_json())
        self.changed()

    async def put_project(self, project: Project) -> None:
        await self._documents.upsert(ACCESS, project.consumer_id, f"project:{project.id}", project.to_json())
        self.changed()

    async def put_grant(self, grant: Grant) -> None:
        await self._documents.upsert(ACCESS, grant.consumer_id, f"grant:{grant.service_id}", grant.to_json())
        self.changed()

    async def add_key(self, key: ApiKey) -> None:
        """The key first, its hash second: a kill in between leaves a key that nobody can use, never a hash of none.
        Raises DocumentExists when the id or the hash is taken."""
        await self._documents.create(ACCESS, key.consumer_id, f"key:{key.id}", key.to_json())
        owner = KeyOwner(consumer_id=key.consumer_id, key_id=key.id)
        await self._documents.create(KEY_HASHES, key.hash, key.hash, owner.to_json())
        self.changed()

    async def put_key(self, key: ApiKey) -> None:
        """Change what is kept of an existing key; its hash never changes."""
        await self._documents.upsert(ACCESS, key.consumer_id, f"key:{key.id}", key.to_json())
        self.changed()
