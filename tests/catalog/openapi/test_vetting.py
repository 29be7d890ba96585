"""Which OpenAPI documents are kept: valid ones that refer to nothing but themselves and cost little to read."""

import json
from typing import Any

import pytest

from shared.catalog.openapi.vetting import DEPTH_MAX, NODES_MAX, Refused, vet

SERVER = "/api/consume/weather"
ANSWERS = {"200": {"description": "fine"}}


def document(version: str = "3.1.0", **changes: Any) -> dict[str, Any]:
    return {"openapi": version, "info": {"title": "Weather", "version": "1"}, "paths": {}, **changes}


def vetted(value: Any, form: str = "") -> dict[str, Any]:
    text = (
        value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
    )
    return vet(text, form, SERVER)


def refusal(value: Any, form: str = "") -> dict[str, str]:
    with pytest.raises(Refused) as caught:
        vetted(value, form)
    return dict(caught.value.faults)


@pytest.mark.parametrize("version", ["3.0.0", "3.0.4", "3.1.0", "3.1.1"])
def test_a_valid_document_is_kept_with_one_server(version: str) -> None:
    operation = {"servers": [{"url": "https://elsewhere.example"}], "responses": ANSWERS}
    item = {"servers": [{"url": "https://elsewhere.example"}], "get": operation}
    kept = vetted(document(version, servers=[{"url": "https://weather.example"}], paths={"/now": item}))
    assert kept["servers"] == [{"url": SERVER}]
    assert "elsewhere" not in json.dumps(kept)
    assert kept["paths"]["/now"]["get"]["responses"] == ANSWERS


@pytest.mark.parametrize("form", ["yaml", ""])
def test_yaml_is_read_as_json_would_be(form: str) -> None:
    kept = vetted(
        """
openapi: 3.1.0
info: {title: Weather, version: 2024-01-01}
x-countries: [no, yes, on, 1:30, 0x1F, 1e3, .nan, ~, true]
x-answers: &answers
  200: {description: fine}
paths:
  /now:
    get:
      responses: *answers
    post:
      responses:
        <<: *answers
        404: {description: gone}
""",
        form,
    )
    assert kept["info"]["version"] == "2024-01-01"
    assert kept["x-countries"] == ["no", "yes", "on", "1:30", "0x1F", 1000.0, ".nan", None, True]
    assert set(kept["paths"]["/now"]["post"]["responses"]) == {"200", "404"}
    assert kept["paths"]["/now"]["get"]["responses"] == ANSWERS


def test_json_with_a_byte_order_mark_is_found_to_be_json() -> None:
    assert vetted(b"\xef\xbb\xbf " + json.dumps(document()).encode())["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "null",
        "[]",
        "7",
        '"text"',
        "\x00",
        b"\xff\xfe",
        "{",
        '{"openapi": NaN}',
        "a: b: c",
        "!!python/object:x {}",
        "a: !!python/object/apply:os.system [id]",
        "- &a [*a]",
        "a: *missing",
        "{1: 2",
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_what_is_no_document_is_refused_whatever_it_is(value: Any) -> None:
    for form in ("", "json", "yaml"):
        assert refusal(value, form)


@pytest.mark.parametrize("version", [None, 3.1, "2.0", "3.2.0", "3.10.0", "4.0.0", "3.1", "3.1.0\n"])
def test_other_versions_are_refused_by_name(version: Any) -> None:
    assert refusal(document(openapi=version)) == {"#/openapi": "must be 3.0.x or 3.1.x"}


@pytest.mark.parametrize(
    "reference",
    [
        "http://169.254.169.254/latest",
        "https://example.com/x.json#/a",
        "file:///etc/passwd",
        "other.yaml",
        "//host/x",
        "/etc/passwd",
        "",
        "#",
        "#fragment",
        "urn:x",
        " #/components",
    ],
)
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_a_reference_to_anything_else_is_refused_where_it_stands(version: str, reference: str) -> None:
    for at, broken in (
        ("#/paths/~1a", {"paths": {"/a": {"$ref": reference}}}),
        ("#/components/schemas/A/allOf/0", {"components": {"schemas": {"A": {"allOf": [{"$ref": reference}]}}}}),
        ("#/x-notes", {"x-notes": {"$ref": reference}}),
    ):
        assert refusal(document(version, **broken)) == {f"{at}/$ref": "must refer to this document: start with `#/`"}


def test_other_ways_to_refer_elsewhere_are_refused_too() -> None:
    schemas = {"A": {"$id": "https://example.com/a"}, "B": {"$dynamicRef": "https://example.com/b#c"}}
    links = {"L": {"operationRef": "https://example.com/x.json#/paths/~1a/get"}}
    faults = refusal(document(components={"schemas": schemas, "links": links}))
    assert set(faults) == {
        "#/components/schemas/A/$id",
        "#/components/schemas/B/$dynamicRef",
        "#/components/links/L/operationRef",
    }


@pytest.mark.parametrize("reference", ["#/components/schemas/Missing", "#/paths/0", "#/info/title/0", "#/tags/9"])
def test_a_reference_to_nothing_is_refused(reference: str) -> None:
    broken = document(components={"schemas": {"A": {"$ref": reference}}}, tags=[{"name": "one"}])
    assert refusal(broken)["#/components/schemas/A/$ref"] == "must point to something in this document"


def test_references_in_a_circle_are_refused() -> None:
    schemas = {"A": {"$ref": "#/components/schemas/B"}, "B": {"$ref": "#/components/schemas/A"}}
    assert "must not lead back to itself" in refusal(document(components={"schemas": schemas})).values()


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_schemas_that_contain_themselves_are_fine(version: str) -> None:
    tree = {
        "type": "object",
        "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/T"}}},
    }
    wide = {"allOf": [{"$ref": "#/components/schemas/T"}, {"$ref": "#/components/schemas/W"}]}
    vetted(document(version, components={"schemas": {"T": tree, "W": wide}}))


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_what_is_not_valid_is_named_by_pointer_and_rule(version: str) -> None:
    parameters = [{"name": "x", "in": "nowhere", "schema": {"type": "string"}}]
    faults = refusal(document(version, paths={"/a": {"get": {"parameters": parameters, "responses": ANSWERS}}}))
    assert any(pointer.startswith("#/paths/~1a/get/parameters/0") for pointer in faults)
    assert "info" in refusal({"openapi": version, "paths": {}})["#"]


def test_operation_ids_are_unique() -> None:
    item = {"get": {"operationId": "now", "responses": ANSWERS}}
    assert "now" in refusal(document(paths={"/a": item, "/b": item}))["#"]


def bomb(last: str) -> str:
    lines = ["a0: &a0 {k: v}"] + [f"a{n}: &a{n} {last.format(','.join([f'*a{n - 1}'] * 9))}" for n in range(1, 12)]
    return "\n".join(lines)


@pytest.mark.parametrize("text", [bomb("[{}]"), bomb("{{<<: [{}]}}")], ids=["lists", "merges"])
def test_aliases_do_not_unfold_without_bound(text: str) -> None:
    assert refusal(text) == {"#": f"must not have more than {NODES_MAX} values"}


def test_size_and_depth_are_bounded_in_either_form() -> None:
    for deep in ("[" * 50_000, "[" * (DEPTH_MAX + 5) + "]" * (DEPTH_MAX + 5)):
        for form in ("json", "yaml"):
            assert refusal(deep, form) in ({"#": f"must not be nested deeper than {DEPTH_MAX}"},), form
    wide = document(**{"x-wide": [0] * NODES_MAX})
    assert refusal(wide) == {"#": f"must not have more than {NODES_MAX} values"}
