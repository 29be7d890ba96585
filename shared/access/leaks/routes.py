"""`/api/v1/keys/leaked`: reports of keys that were found in public, in the format of GitHub's secret scanning."""

import json
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.access.leaks.service import REPORT_BYTES_MAX, TOKENS_MAX, Label, LeakedSecret, LeakReports
from shared.access.parts import AccessParts
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import View

router = APIRouter(tags=["keys"])


class LeakedToken(BaseModel):
    """One string that was found. Fields that are not listed here are let be: the format is the reporter's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: Annotated[str, Field(max_length=4_096)]
    type: Annotated[str, Field(max_length=200)]
    url: Annotated[str, Field(max_length=4_096)] = ""
    source: Annotated[str, Field(max_length=200)] = ""


class LeakVerdict(View):
    """Verdict on one reported token."""

    token_hash: str
    """SHA-256 of the token in hexadecimal digits."""
    token_type: str
    """Token type as the reporter classified it."""
    label: Label
    """`true_positive` for a key of AMS, otherwise `false_positive`."""


_REPORT = TypeAdapter(Annotated[list[LeakedToken], Field(max_length=TOKENS_MAX)])
_BODY = {
    "requestBody": {
        "description": "The tokens that were found.",
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "maxItems": TOKENS_MAX,
                    "items": {
                        "type": "object",
                        "required": ["token", "type"],
                        "properties": {
                            "token": {
                                "type": "string",
                                "maxLength": 4_096,
                                "description": "The token, exactly as it was found.",
                            },
                            "type": {
                                "type": "string",
                                "maxLength": 200,
                                "description": "Token type as the reporter classified it.",
                            },
                            "url": {
                                "type": "string",
                                "maxLength": 4_096,
                                "description": "URL at which the token was found.",
                            },
                            "source": {
                                "type": "string",
                                "maxLength": 200,
                                "description": "Kind of place, such as `content`.",
                            },
                        },
                    },
                }
            }
        },
    }
}


LeakReportsPart = Annotated[LeakReports, Depends(provided(AccessParts, lambda access: access.leak_reports))]


@router.post(
    "/keys/leaked",
    openapi_extra=_BODY,
    responses={
        401: {"description": "The signature is missing, or was not made with a known key of the reporter."},
        404: {"description": "This installation accepts no reports."},
        413: {"description": "The report is too large."},
    },
    summary="Report leaked keys",
)
async def report_leaked_keys(
    request: Request,
    leak_reports: LeakReportsPart,
    github_public_key_identifier: Annotated[
        str | None, Header(max_length=200, description="Id of the reporter's key that made the signature.")
    ] = None,
    github_public_key_signature: Annotated[
        str | None, Header(max_length=1_000, description="ECDSA signature of the SHA-256 of the raw body, in Base64.")
    ] = None,
) -> list[LeakVerdict]:
    """Report API keys that were found in public. They are revoked, or their owners are notified. Repeating a report is
    harmless."""
    body = await _read(request)
    await leak_reports.check(github_public_key_identifier, github_public_key_signature, body)
    found = [LeakedSecret(token=each.token, type=each.type, url=each.url) for each in _parse(body)]
    verdicts = await leak_reports.take(request.state.request_id, found)
    return [LeakVerdict(token_hash=v.token_hash, token_type=v.token_type, label=v.label) for v in verdicts]


async def _read(request: Request) -> bytes:
    """Byte for byte, as it was signed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > REPORT_BYTES_MAX:
            raise Problem(413, "body_too_large", f"A leak report is at most {REPORT_BYTES_MAX} bytes.")
    return bytes(body)


def _parse(body: bytes) -> list[LeakedToken]:
    try:
        return _REPORT.validate_python(json.loads(body))
    except ValidationError as error:
        errors = [FieldError(".".join(str(part) for part in e["loc"]) or "body", e["msg"]) for e in error.errors()]
        detail = "; ".join(f"`{each.field}`: {each.rule}" for each in errors[:10])
        raise Problem(400, "request_invalid", detail, errors[:10]) from None
    except (ValueError, RecursionError):
        raise Problem(400, "body_invalid", "The body is not valid JSON.") from None
