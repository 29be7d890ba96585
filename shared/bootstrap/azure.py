"""The adapters of the profile `azure`, made as the settings say. The SDKs are imported by what is called."""

import os
from functools import cache
from typing import TYPE_CHECKING

from shared.platform.blobs import Blobs
from shared.platform.documents import Documents
from shared.platform.events import Events
from shared.platform.secrets import Secrets

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

    from shared.settings import Settings

CHECKPOINT_CONTAINER = "checkpoints"
BLOB_CONTAINER = "ams"
SITE_CONTAINER = "$web"
"""Azure Storage's own name for a static website."""


def cosmos(settings: "Settings") -> Documents:
    from shared.platform.documents.cosmos import CosmosDocuments

    assert settings.ams_cosmos_endpoint is not None
    credential = settings.ams_cosmos_key or _credential(settings)
    return CosmosDocuments(settings.ams_cosmos_endpoint, credential, settings.ams_cosmos_database)


def event_hubs(settings: "Settings") -> Events:
    from shared.platform.events.eventhubs import EventHubs
    from shared.platform.events.eventhubs_clients import AzureHub, EmulatedHub

    if settings.ams_usage_hub_connection_string is not None:
        assert settings.ams_blob_connection_string is not None
        return EventHubs(
            EmulatedHub(
                settings.ams_usage_hub_connection_string,
                settings.ams_usage_hub_name,
                settings.ams_blob_connection_string,
                CHECKPOINT_CONTAINER,
            )
        )
    assert settings.usage_hub_fully_qualified_namespace is not None
    assert settings.ams_blob_account_url is not None
    return EventHubs(
        AzureHub(
            settings.usage_hub_fully_qualified_namespace,
            settings.ams_usage_hub_name,
            _credential(settings),
            settings.ams_blob_account_url,
            CHECKPOINT_CONTAINER,
        )
    )


def blobs(settings: "Settings", container: str = BLOB_CONTAINER) -> Blobs:
    from shared.platform.blobs.azure import AzureBlobs

    if settings.ams_blob_connection_string is not None:
        return AzureBlobs(container, connection_string=settings.ams_blob_connection_string)
    return AzureBlobs(container, account_url=settings.ams_blob_account_url, credential=_credential(settings))


def key_vault(settings: "Settings") -> Secrets:
    from shared.platform.secrets.keyvault import KeyVaultSecrets

    assert settings.ams_keyvault_url is not None
    return KeyVaultSecrets(settings.ams_keyvault_url, _credential(settings))


@cache
def _credential(settings: "Settings") -> "AsyncTokenCredential":
    """On Azure the app's own identity, named or system-assigned, without a chain of guesses; else the developer's."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if "WEBSITE_INSTANCE_ID" in os.environ or "CONTAINER_NAME" in os.environ:
        return ManagedIdentityCredential(client_id=settings.ams_managed_identity_client_id)
    return DefaultAzureCredential()
