"""What a service's OpenAPI document offers: its operations, for people to read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS_MAX = 500
EXAMPLE_CHARACTERS_MAX = 4_000


@dataclass(frozen=True, slots=True)
class Operation:
    """`request` and `response` are examples as text, where the document has them."""

    method: str
    path: str
    summary: str
    request: str | None = None
    response: str | None = None


def operations_of(document: Mapping[str, Any]) -> list[Operation]:
    """The operations of a vetted OpenAPI document, in its order, at most OPERATIONS_MAX."""
    found = [
        _operation(method, path, item[method])
        for path, item in _object(document.get("paths")).items()
        for method in METHODS
        if isinstance(item, dict) and isinstance(item.get(method), dict)
    ]
    return found[:OPERATIONS_MAX]


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    summary = str(operation.get("summary") or operation.get("description") or "").split("\n", 1)[0][:300]
    answers = _object(operation.get("responses"))
    good = next((answers[status] for status in sorted(answers) if str(status).startswith("2")), None)
    return Operation(method.upper(), path, summary, _example(operation.get("requestBody")), _example(good))


def _example(part: object) -> str | None:
    """The first example of the first media type."""
    for media in _object(_object(part).get("content")).values():
        media = _object(media)
        examples = [_object(each).get("value") for each in _object(media.get("examples")).values()]
        for example in (media.get("example"), *examples, _object(media.get("schema")).get("example")):
            if example is not None:
                text = example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)
                return text[:EXAMPLE_CHARACTERS_MAX]
    return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
