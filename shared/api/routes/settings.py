"""`/api/v1/admin/settings`: what operators decide while AMS runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import ConfigDict, Field

from shared.audit.parts import AuditParts
from shared.audit.platform import PlatformSettings, PlatformSettingsStore
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.parameters import IfMatch
from shared.kernel.http.provided import provided

router = APIRouter(tags=["platform settings"])


class PlatformSettingsView(PlatformSettings):
    """All settings of the platform, defaults included."""


class PlatformSettingsChange(PlatformSettings):
    """A change of the platform's settings: only what is given is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    reason: Annotated[
        str,
        Field(
            min_length=1,
            max_length=1_000,
            description="The reason, in the admin's own words. It is kept in the audit log.",
        ),
    ]


PlatformSettingsStorePart = Annotated[
    PlatformSettingsStore, Depends(provided(AuditParts, lambda audit: audit.platform_settings))
]


@router.get("/admin/settings", summary="Read the platform's settings")
async def read_settings(
    caller: Annotated[Caller, Depends(allowed("settings.read"))], store: PlatformSettingsStorePart, response: Response
) -> PlatformSettingsView:
    """Read the platform's settings."""
    stored = await store.stored()
    response.headers["ETag"] = entity_tag(stored.etag)
    return PlatformSettingsView.model_validate(stored.value.model_dump())


@router.patch("/admin/settings", summary="Change the platform's settings")
async def change_settings(
    caller: Annotated[Caller, Depends(allowed("settings.update"))],
    store: PlatformSettingsStorePart,
    change: PlatformSettingsChange,
    response: Response,
    if_match: IfMatch = None,
) -> PlatformSettingsView:
    """Change settings of the platform. Changes apply everywhere within 2 seconds."""
    given = {name: getattr(change, name) for name in change.model_fields_set - {"reason"}}
    stored = await store.change(caller.actor, given, if_match=if_match, reason=change.reason)
    response.headers["ETag"] = entity_tag(stored.etag)
    return PlatformSettingsView.model_validate(stored.value.model_dump())
