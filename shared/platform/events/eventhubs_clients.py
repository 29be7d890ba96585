"""Which hub the Event Hubs adapter uses, and the SDK's clients of it."""

from dataclasses import dataclass
from typing import TypedDict

from azure.core.credentials_async import AsyncTokenCredential
from azure.eventhub import parse_connection_string
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore

BALANCE_SECONDS = 10.0
"""How often a consumer looks for partitions to take over; after a crash they are free after six of these."""


class _Options(TypedDict):
    retry_total: int
    retry_backoff_factor: float
    retry_backoff_max: float


# A broken link is replaced at once; whatever takes longer is the business of the caller, who has the event's id.
_OPTIONS = _Options(retry_total=2, retry_backoff_factor=0.1, retry_backoff_max=1.0)


@dataclass(frozen=True, slots=True)
class AzureHub:
    """A hub on Azure. The credential stays the caller's to close; it needs "Azure Event Hubs Data Owner" (or Sender
    and Receiver) on the hub and "Storage Blob Data Contributor" on the checkpoint container, which must exist.

    `namespace` is the host name, `checkpoint_account_url` is such as `https://account.blob.core.windows.net`. To see
    the lag of a group that the Functions host consumes, name that host's storage and `azure-webjobs-eventhub`.
    """

    namespace: str
    hub: str
    credential: AsyncTokenCredential
    checkpoint_account_url: str
    checkpoint_container: str

    def producer(self) -> EventHubProducerClient:
        return EventHubProducerClient(self.namespace, self.hub, self.credential, **_OPTIONS)

    def consumer(self, group: str, checkpoints: BlobCheckpointStore) -> EventHubConsumerClient:
        return EventHubConsumerClient(
            self.namespace,
            self.hub,
            group,
            self.credential,
            checkpoint_store=checkpoints,
            load_balancing_interval=BALANCE_SECONDS,
            **_OPTIONS,
        )

    def checkpoints(self) -> BlobCheckpointStore:
        return BlobCheckpointStore(self.checkpoint_account_url, self.checkpoint_container, credential=self.credential)


@dataclass(frozen=True, slots=True)
class EmulatedHub:
    """A hub and a storage account of emulators, by connection strings: keys in a setting are not for production."""

    connection_string: str
    hub: str
    checkpoint_connection_string: str
    checkpoint_container: str

    @property
    def namespace(self) -> str:
        return parse_connection_string(self.connection_string).fully_qualified_namespace

    def producer(self) -> EventHubProducerClient:
        return EventHubProducerClient.from_connection_string(self.connection_string, eventhub_name=self.hub, **_OPTIONS)

    def consumer(self, group: str, checkpoints: BlobCheckpointStore) -> EventHubConsumerClient:
        return EventHubConsumerClient.from_connection_string(
            self.connection_string,
            group,
            eventhub_name=self.hub,
            checkpoint_store=checkpoints,
            load_balancing_interval=BALANCE_SECONDS,
            **_OPTIONS,
        )

    def checkpoints(self) -> BlobCheckpointStore:
        return BlobCheckpointStore.from_connection_string(self.checkpoint_connection_string, self.checkpoint_container)
