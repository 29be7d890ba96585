"""What a service's OpenAPI document offers: its operations, for people to read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS_MAX = 500
EXAMPLE_CHARACTERS_MAX = 4_000
NAME_CHARACTERS_MAX = 200
PARAMETERS_MAX = 100


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation; `place` is `path`, `query`, `header` or `cookie`."""

    name: str
    place: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApiOperation:
    """An operation of a service; `request` and `response` are examples as text, where the document has them."""

    method: str
    path: str
    summary: str
    request: str | None = None
    response: str | None = None
    operation_id: str | None = None
    parameters: tuple[Parameter, ...] = ()


def operations_of(document: Mapping[str, Any]) -> list[OpenApiOperation]:
    """List the operations of a vetted OpenAPI document, in its order, at most OPERATIONS_MAX."""
    found = [
        _operation(document, method, path, item)
        for path, item in _object(document.get("paths")).items()
        for method in METHODS
        if isinstance(item, dict) and isinstance(item.get(method), dict)
    ]
    return found[:OPERATIONS_MAX]


def _operation(document: Mapping[str, Any], method: str, path: str, item: Mapping[str, Any]) -> OpenApiOperation:
    operation: dict[str, Any] = item[method]
    summary = str(operation.get("summary") or operation.get("description") or "").split("\n", 1)[0][:300]
    answers = _object(operation.get("responses"))
    good = next((answers[status] for status in sorted(answers) if str(status).startswith("2")), None)
    body = _resolved(document, operation.get("requestBody"))
    named = operation.get("operationId")
    return OpenApiOperation(
        method=method.upper(),
        path=path,
        summary=summary,
        request=_example(body),
        response=_example(_resolved(document, good)),
        operation_id=named[:NAME_CHARACTERS_MAX] if isinstance(named, str) else None,
        parameters=_parameters(document, item, operation),
    )


def _parameters(
    document: Mapping[str, Any], item: Mapping[str, Any], operation: Mapping[str, Any]
) -> tuple[Parameter, ...]:
    """Those of the path, then the operation's own, which go over the path's of the same name and place."""
    found: dict[tuple[str, str], Parameter] = {}
    for listed in (item.get("parameters"), operation.get("parameters")):
        for each in listed if isinstance(listed, list) else ():
            parameter = _resolved(document, each)
            name, place = (str(parameter.get(key, ""))[:NAME_CHARACTERS_MAX] for key in ("name", "in"))
            text = str(parameter.get("description") or "").split("\n", 1)[0][:300]
            found[name, place] = Parameter(name, place, parameter.get("required") is True, text)
    return tuple(found.values())[:PARAMETERS_MAX]


def _resolved(document: Mapping[str, Any], part: object) -> dict[str, Any]:
    """What a reference within the document stands for. A vetted one does not go round in circles."""
    value = _object(part)
    while isinstance(reference := value.get("$ref"), str):
        target: object = document
        for name in reference.removeprefix("#/").split("/"):
            target = _object(target).get(unquote(name).replace("~1", "/").replace("~0", "~"))
        value = _object(target)
    return value


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
