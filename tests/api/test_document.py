"""The OpenAPI document explains itself, names everything once, and leaves out nothing that is served."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from referencing import Registry, Resource

from scripts.commands.openapi import document
from shared.api.openapi.request_examples import REQUEST_EXAMPLES
from tests.support.function_app import functions
from tests.support.paths import ROOT

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATION_ID_CHARACTERS_MAX = 40
CATCH_ALL = {"api/v1/{*route}": "/api/v1/", "api/docs/{*name}": "/api/docs"}
"""FastAPI's, whose own routes are in the document one by one."""


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def nodes(node: Any, path: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document, with where it is."""
    if isinstance(node, dict):
        yield path, node
        for name, value in node.items():
            yield from nodes(value, f"{path}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from nodes(value, f"{path}/{index}")


def test_it_is_a_document_of_openapi() -> None:
    validate(DOCUMENT)
    assert DOCUMENT["openapi"].startswith("3.1")
    assert DOCUMENT["info"]["description"]
    assert DOCUMENT["info"]["contact"]
    assert DOCUMENT["servers"]


def test_every_operation_and_parameter_is_described() -> None:
    bare = [
        name for name, operation in operations() if not operation.get("description") or not operation.get("summary")
    ]
    for name, operation in operations():
        bare += [
            f"{name}: {parameter['in']} {parameter['name']}"
            for parameter in operation.get("parameters", [])
            if not parameter.get("description")
        ]
        bare += [f"{name}: {status}" for status, one in operation["responses"].items() if not told(one)]
    assert bare == []


def told(response: dict[str, Any]) -> bool:
    return "$ref" in response or bool(response["description"])


def test_every_schema_and_field_is_described() -> None:
    bare = [name for name, schema in SCHEMAS.items() if not schema.get("description")]
    for path, node in nodes(SCHEMAS):
        if isinstance(node.get("properties"), dict) and not path.endswith("/properties"):
            bare += [
                f"{path}: {field}" for field, schema in node["properties"].items() if not schema.get("description")
            ]
    assert bare == []


def test_operations_have_short_names_of_their_own() -> None:
    names = Counter(operation["operationId"] for _, operation in operations())
    assert [name for name, times in names.items() if times > 1] == []
    for name in names:
        assert re.fullmatch(r"[a-z][A-Za-z]+", name), name
        assert len(name) <= OPERATION_ID_CHARACTERS_MAX, name


def test_operations_have_summaries_of_their_own() -> None:
    summaries = Counter(operation["summary"] for _, operation in operations())
    assert [summary for summary, times in summaries.items() if times > 1] == []
    assert [summary for summary in summaries if summary.istitle() or summary.endswith(".")] == []


def test_every_description_is_a_sentence() -> None:
    described = [
        (path, node["description"]) for path, node in nodes(DOCUMENT) if isinstance(node.get("description"), str)
    ]
    assert len(described) > 1_000
    assert [path for path, text in described if text != text.strip() or text[-1] not in ".:!?"] == []


def test_every_tag_is_described_and_used() -> None:
    used = {tag for _, operation in operations() for tag in operation["tags"]}
    listed = [tag["name"] for tag in DOCUMENT["tags"]]
    assert used == set(listed)
    assert len(set(listed)) == len(listed)
    assert all(tag["description"] for tag in DOCUMENT["tags"])


def test_schemas_are_named_after_what_they_are_and_used() -> None:
    assert [name for name in SCHEMAS if not re.fullmatch(r"[A-Z][A-Za-z0-9]+", name)] == []
    named = {node["$ref"] for _, node in nodes(DOCUMENT) if isinstance(node.get("$ref"), str)}
    for kind in ("schemas", "responses"):
        unused = [name for name in DOCUMENT["components"][kind] if f"#/components/{kind}/{name}" not in named]
        assert unused == []


def examples() -> Iterator[tuple[str, Any, Any]]:
    """Where an example is, its schema, and the example."""
    for path, node in nodes(DOCUMENT):
        schema = node.get("schema")
        if isinstance(schema, dict):
            if "example" in node:
                yield path, schema, node["example"]
            if isinstance(node.get("examples"), dict):
                for name, example in node["examples"].items():
                    yield f"{path}/{name}", schema, example["value"]
            elif isinstance(node.get("examples"), list):
                for example in node["examples"]:
                    yield path, schema, example
        elif isinstance(node.get("examples"), list) and ("type" in node or "anyOf" in node or "properties" in node):
            for example in node["examples"]:
                yield path, node, example
        if "default" in node and ("type" in node or "anyOf" in node or "$ref" in node):
            yield f"{path}/default", node, node["default"]


def test_examples_and_defaults_are_valid() -> None:
    registry: Any = Registry().with_resource("urn:ams", Resource.from_contents(DOCUMENT, default_specification=_spec()))
    found = list(examples())
    assert len(found) > 100
    wrong = []
    for path, schema, example in found:
        absolute = _absolute(schema)
        errors = list(Draft202012Validator(absolute, registry=registry).iter_errors(example))
        wrong += [f"{path}: {error.message}" for error in errors]
    assert wrong == []


def _spec() -> Any:
    from referencing.jsonschema import DRAFT202012

    return DRAFT202012


def _absolute(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: f"urn:ams{value}" if name == "$ref" else _absolute(value) for name, value in node.items()}
    return [_absolute(value) for value in node] if isinstance(node, list) else node


def test_it_is_the_same_in_every_process() -> None:
    code = "import json; from scripts.commands.openapi import document; print(json.dumps(document()))"

    def bytes_of(seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment).stdout

    assert bytes_of("1") == bytes_of("2")


def routes() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Route and methods of every function that HTTP triggers."""
    for function in functions():
        if function.kind == "httpTrigger":
            yield function.trigger.route, tuple(getattr(method, "value", method) for method in function.trigger.methods)


def test_everything_that_is_served_is_in_it() -> None:
    served = set()
    for route, methods in routes():
        if (prefix := CATCH_ALL.get(route)) is not None:
            assert any(path.startswith(prefix) for path in DOCUMENT["paths"])
            served |= {path for path in DOCUMENT["paths"] if path.startswith(prefix)}
            continue
        path = "/" + route.replace("{*", "{")
        served.add(path)
        assert set(DOCUMENT["paths"].get(path, {})) == {method.lower() for method in methods}, path
    assert served == set(DOCUMENT["paths"])


def parameters() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, operation in operations():
        for parameter in operation.get("parameters", []):
            yield f"{name}: {parameter['in']} {parameter['name']}", parameter


def test_no_parameter_is_nullable() -> None:
    assert [where for where, parameter in parameters() if "null" in str(parameter["schema"])] == []


def read_of(path: str) -> str | None:
    """The path of the GET that documents the ETag for a change of `path`: its own, or that of what it is part of."""
    parts = path.split("/")
    for length in range(len(parts), 0, -1):
        for known in ("/".join(parts[:length]), "/".join(parts[:length]).replace("/admin", "")):
            answer = DOCUMENT["paths"].get(known, {}).get("get", {}).get("responses", {}).get("200", {})
            if "ETag" in answer.get("headers", {}):
                return known
    return None


def test_what_is_changed_with_if_match_can_be_read_with_its_etag() -> None:
    changed = [path for path, item in DOCUMENT["paths"].items() if any(map(takes_if_match, item.values()))]
    assert len(changed) > 30
    assert [path for path in changed if read_of(path) is None] == []


def takes_if_match(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == "If-Match" for parameter in operation.get("parameters", []))


def test_if_match_is_required_where_a_change_without_it_is_refused() -> None:
    optional = {
        operation["operationId"]: "428" in operation["responses"]
        for _, operation in operations()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "If-Match" and not parameter["required"]
    }
    assert optional == {
        "approveService": False,
        "rejectService": False,
        "putBilling": True,
        "putBuyer": True,
        "putTerms": True,
    }


def test_every_problem_names_its_request_and_says_when_to_come_back() -> None:
    refused = [
        (
            f"{name}: {status}",
            status,
            DOCUMENT["components"]["responses"][one["$ref"].split("/")[-1]] if "$ref" in one else one,
        )
        for name, operation in operations()
        for status, one in operation["responses"].items()
        if status >= "400" and status != "default"
    ]
    problems = [each for each in refused if "application/problem+json" in each[2].get("content", {})]
    assert [name for name, _, one in problems if "X-AMS-Request-Id" not in one["headers"]] == []
    assert [
        name for name, status, one in problems if status in ("429", "503") and "Retry-After" not in one["headers"]
    ] == []


def test_schemes_of_security_are_described() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name for name, scheme in schemes.items() if scheme.get("description")} == {"SignIn", "AmsKey", "AmsBearer"}
    assert set(schemes) == {"SignIn", "AmsKey", "AmsBearer"}


def test_answers_without_a_body_have_no_content() -> None:
    empty = [
        f"{name}: {status}"
        for name, operation in operations()
        for status, one in operation["responses"].items()
        for media in one.get("content", {}).values()
        if media.get("schema", {}) == {} and "/api/v1" in name
    ]
    assert empty == []


@pytest.mark.parametrize("path", ["/api/v1/openapi.json", "/api/docs", "/api/docs/{name}"])
def test_the_description_describes_itself(path: str) -> None:
    assert DOCUMENT["paths"][path]["get"]["description"]


def test_every_json_body_has_an_example() -> None:
    bodies = {
        operation["operationId"]: body
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        if (body := operation.get("requestBody", {}).get("content", {}).get("application/json")) is not None
    }
    assert len(bodies) > 70
    assert [name for name, body in bodies.items() if not {"example", "examples"} & body.keys()] == []


def test_no_example_is_of_a_body_that_is_gone() -> None:
    named = {operation["operationId"] for methods in DOCUMENT["paths"].values() for operation in methods.values()}
    assert set(REQUEST_EXAMPLES) <= named | set(DOCUMENT["components"]["schemas"])
