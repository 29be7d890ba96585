"""A service's OpenAPI document: vetted, kept, read.

Each import is a blob of its own that never changes, and the service's field `openapi` names the current one: so a
document is replaced by one write, waits for approval like any other field, and a version keeps its own. The blob is
written first: a kill in between leaves one that nobody names.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from shared.audit.models import Actor
from shared.catalog.models import Service
from shared.catalog.openapi.operations import OpenApiOperation, operations_of
from shared.catalog.rate_checks import check_rate
from shared.catalog.services.service import ServiceDetail, Services
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.problems import not_found
from shared.kernel.ids import new_id
from shared.platform.blobs import Blobs
from shared.platform.limits import Demand, Limits

DOCUMENT_BYTES_MAX = 2 * 2**20
KEPT_BYTES_MAX = 8 * 2**20
"""As JSON, with YAML aliases unfolded."""

VET_S_MAX = 60.0
AT_ONCE_MAX = 2
IMPORTS_PER_HOUR = 60
_BACKEND = "OPENAPI_SPEC_VALIDATOR_SCHEMA_VALIDATOR_BACKEND"
"""Of the two that the validator takes, the one that is always installed: so a document is told the same everywhere."""

_STOPPED = "takes too long, or too much memory, to check"


class OpenApiDocuments:
    """Takes in, keeps and reads services' OpenAPI documents."""

    def __init__(self, services: Services, blobs: Blobs, limits: Limits) -> None:
        self._services = services
        self._blobs = blobs
        self._limits = limits
        self._checks_at_once = asyncio.Semaphore(AT_ONCE_MAX)

    async def put(
        self, actor: Actor, service_id: str, text: bytes, content_type: str, if_match: str | None
    ) -> ServiceDetail:
        """Import a document. Of a live service it waits for approval. Raises Problem 400 `openapi_invalid`; 404; 409;
        412; 413 `openapi_too_large`; 428; 429 `rate_limited`."""
        if len(text) > DOCUMENT_BYTES_MAX:
            raise _too_large()
        detail = await self._services.read(service_id)
        check_match(if_match, detail.stored.etag)
        demand = Demand(f"openapi:{service_id}", "hour", IMPORTS_PER_HOUR, 3_600)
        await check_rate(self._limits, demand)
        document = await self._vet(text, _form(content_type), f"/api/consume/{detail.service.slug}")
        kept = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(kept) > KEPT_BYTES_MAX:
            raise _too_large()
        name = f"openapi/{service_id}/{new_id('oas')}.json"
        await self._blobs.put(name, kept, content_type="application/json")
        return await self._services.edit(actor, detail, {"openapi": name})

    async def read(self, service: Service) -> bytes:
        """Read a service's document as JSON. Raises Problem 404 when the service has none."""
        blob = None if service.openapi is None else await self._blobs.get(service.openapi)
        if blob is None:
            raise not_found()
        return blob.data

    async def operations(self, service: Service) -> Sequence[OpenApiOperation]:
        """List the operations of a service's document. Raises Problem 404 when the service has none."""
        return operations_of(json.loads(await self.read(service)))

    async def _vet(self, text: bytes, form: str, server: str) -> dict[str, Any]:
        async with self._checks_at_once:
            answer = await _in_a_process(text, form, server)
        if "document" in answer:
            document: dict[str, Any] = answer["document"]
            return document
        errors = [FieldError(pointer, rule) for pointer, rule in answer["faults"]]
        detail = "; ".join(f"`{error.field}` {error.rule}" for error in errors[:3])
        raise Problem(400, "openapi_invalid", f"The OpenAPI document cannot be taken: {detail}.", errors)


async def _in_a_process(text: bytes, form: str, server: str) -> dict[str, Any]:
    """What `shared.catalog.openapi.vetting` says, or a fault when it had to be stopped. Its environment has no
    secrets."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "shared.catalog.openapi.vetting",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join([os.getcwd(), *filter(None, sys.path)]), _BACKEND: "jsonschema"},
    )
    asked = json.dumps({"form": form, "server": server}).encode() + b"\n" + text
    try:
        async with asyncio.timeout(VET_S_MAX):
            answer, _ = await process.communicate(asked)
    except TimeoutError:
        return {"faults": [["#", _STOPPED]]}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        return {"faults": [["#", _STOPPED]]}
    result: dict[str, Any] = json.loads(answer)
    return result


def _form(content_type: str) -> str:
    media = content_type.partition(";")[0].strip().lower()
    return "json" if media.endswith("json") else "yaml" if media.endswith("yaml") else ""


def _too_large() -> Problem:
    return Problem(413, "openapi_too_large", f"An OpenAPI document is at most {DOCUMENT_BYTES_MAX} bytes.")
