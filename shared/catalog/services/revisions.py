"""Which edits of a live service wait for an approval, and what a service is with such edits applied.

A consumer who was granted access relies on what the service said then. So what would change the deal, or send calls
elsewhere, is kept in a revision until an admin approves it; the rest applies at once.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue, ValidationError

from shared.catalog.models import Service
from shared.kernel.errors import FieldError, Problem

REVIEWED: Mapping[str, str] = {
    "name": "consumers know the service by it, and it could pass for another's",
    "description": "what consumers were promised",
    "upstream": "calls, with what consumers send, would go somewhere else",
    "limits": "consumers built on them; a higher one is as much a change of the offer as a lower one",
    "pricing": "what it costs",
    "price_model": "what it costs",
    "authentication": "calls of consumers may stop working",
    "sla": "what consumers were promised",
    "visibility": "only to `public`: whatever everybody sees is looked at first",
    "openapi": "the operations that consumers call",
}
"""Fields of a live service whose change needs an approval, with the reason. All others apply at once."""

_SECRET = {"auth_header", "auth_secret"}
"""Of an upstream. They are no part of a revision: a changed secret is wanted now."""


def needs_review(field: str, after: Service) -> bool:
    """Say whether a change of this field has to be approved, given the service as it would be."""
    return field in REVIEWED and (field != "visibility" or after.visibility == "public")


def applied(service: Service, values: Mapping[str, Any]) -> Service:
    """Return the service with `values` (JSON by field name; objects are merged, null clears) set.

    Raises Problem 400 `request_invalid` where they do not go together.
    """
    current = service.model_dump(mode="json")
    merged: dict[str, Any] = dict(values)
    for field in ("upstream", "limits"):
        if isinstance(merged.get(field), Mapping):
            merged[field] = {**(current[field] or {}), **merged[field]}
    try:
        return Service.model_validate({**current, **merged})
    except ValidationError as error:
        errors = [
            FieldError(".".join(map(str, e["loc"])), e["msg"].removeprefix("Value error, ")) for e in error.errors()
        ]
        detail = "; ".join(f"`{e.field}`: {e.rule}" for e in errors)
        raise Problem(400, "request_invalid", detail, errors) from None


def split(live: Service, target: Service, fields: frozenset[str]) -> tuple[dict[str, Any], dict[str, JsonValue]]:
    """Split what of `fields` differs between the two: what applies at once, as attributes, and what needs an approval,
    as the JSON of a revision."""
    at_once: dict[str, Any] = {}
    reviewed: dict[str, JsonValue] = {}
    dumped = target.model_dump(mode="json", exclude={"upstream": _SECRET})
    for field in sorted(fields):
        if getattr(live, field) == getattr(target, field):
            continue
        if needs_review(field, target):
            reviewed[field] = dumped[field]
        else:
            at_once[field] = getattr(target, field)
    return at_once, reviewed


def differences(before: Service, after: Service) -> list[tuple[str, JsonValue, JsonValue]]:
    """Field, old and new value of everything that a revision may change. An upstream is without its secret."""
    old, new = (
        s.model_dump(mode="json", include=set(REVIEWED), exclude={"upstream": _SECRET}) for s in (before, after)
    )
    return [(field, old[field], new[field]) for field in REVIEWED if old[field] != new[field]]
