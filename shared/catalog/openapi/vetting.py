"""Whether an OpenAPI document may be kept. Run as a program, it vets one in a process of its own, which can be ended.

Documents come from strangers: regular expressions in them may take for ever, nested references grow without bound, YAML
aliases unfold. So the work is done where it can be limited and killed (`shared.catalog.openapi.service`), and with
nothing in the environment that is worth having. Nothing is ever fetched.

A document passes when it is OpenAPI 3.0 or 3.1, is valid, has no more than NODES_MAX values, and refers only to itself.
What is given back has AMS as its only server.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

NODES_MAX = 200_000
"""Objects, lists and values, with YAML aliases unfolded."""

DEPTH_MAX = 100
ERRORS_MAX = 20
RULE_CHARACTERS_MAX = 300
MEMORY_BYTES_MAX = 1_536 * 2**20
_VERSION = re.compile(r"3\.[01]\.\d+(-.+)?")
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
Fault = tuple[str, str]
"""JSON pointer (RFC 6901, as a fragment) and rule."""


class Refused(Exception):
    """The document cannot be taken. `faults` say where and why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(faults)
        self.faults = faults


def vet(text: bytes, form: str, server: str) -> dict[str, Any]:
    """Check a document. Returns it with `server` as its server. `form` is `json`, `yaml`, or anything else to find out.
    Raises Refused."""
    document = _plain(_parse(text, form))
    if not isinstance(document, dict):
        raise Refused(("#", "must be an object"))
    version = document.get("openapi")
    if not isinstance(version, str) or not _VERSION.fullmatch(version):
        raise Refused(("#/openapi", "must be 3.0.x or 3.1.x"))
    if faults := list(islice(_reference_faults(document), ERRORS_MAX)):
        raise Refused(*faults)
    _serve_from(document, server)
    if faults := list(islice(_invalid(document, version), ERRORS_MAX)):
        raise Refused(*faults)
    return document


def _parse(text: bytes, form: str) -> Any:
    if form not in ("json", "yaml"):
        form = "json" if text.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{") else "yaml"
    try:
        decoded = text.decode("utf-8-sig")
        return json.loads(decoded, parse_constant=_no_constant) if form == "json" else _load_yaml(decoded)
    except RecursionError:
        raise Refused(("#", f"must not be nested deeper than {DEPTH_MAX}")) from None
    except ValueError as error:
        raise Refused(("#", f"must be {form.upper()} in UTF-8: {error}"[:RULE_CHARACTERS_MAX])) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _load_yaml(text: str) -> Any:
    import yaml

    class JsonSchemaLoader(yaml.CSafeLoader):
        """With the JSON schema of YAML 1.2, as OpenAPI asks for: no dates, `no` is text."""

        yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - as its base class

    for tag, pattern, first in (
        ("null", r"~|null|", ["~", "n", ""]),
        ("bool", r"true|false", ["t", "f"]),
        ("int", r"-?(0|[1-9][0-9]{0,300})", list("-0123456789")),
        ("float", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", list("-0123456789")),
        ("merge", r"<<", ["<"]),
    ):
        JsonSchemaLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)
    try:
        _check_unfolded(yaml.parse(text, Loader=JsonSchemaLoader))
        return yaml.load(text, Loader=JsonSchemaLoader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def _check_unfolded(events: Iterator[Any]) -> None:
    """Count the values of a YAML document, each alias as what it stands for, before anything is built. Raises
    Refused."""
    from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    total = 0
    # The size of each anchor's value, once it ended: until then, an alias of it would be within itself. Values without
    # an anchor are under None, which no alias names.
    sizes: dict[str | None, int] = {}
    opened: list[tuple[str | None, int]] = []  # the anchor of each object and list around, and the total before it
    for event in events:
        match event:
            case AliasEvent():
                if event.anchor not in sizes:
                    raise Refused(("#", "must not contain itself by a YAML alias"))
                total += sizes[event.anchor]
            case ScalarEvent():
                total += 1
                sizes[event.anchor] = 1
            case CollectionStartEvent():
                opened.append((event.anchor, total))
                total += 1
            case CollectionEndEvent():
                anchor, before = opened.pop()
                sizes[anchor] = total - before
        if total > NODES_MAX:
            raise Refused(("#", f"must not have more than {NODES_MAX} values"))
        if len(opened) > DEPTH_MAX:
            raise Refused(("#", f"must not be nested deeper than {DEPTH_MAX}"))


def _plain(value: Any) -> Any:
    """A copy as JSON could say it: text for keys (YAML has `200:`), nothing shared, nothing too deep or too much."""
    left = NODES_MAX

    def copy(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Refused(("#", f"must not have more than {NODES_MAX} values"))
        if depth > DEPTH_MAX:
            raise Refused(("#", f"must not be nested deeper than {DEPTH_MAX}"))
        if isinstance(value, dict):
            return {_key(key): copy(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list):
            return [copy(each, depth + 1) for each in value]
        if value is None or isinstance(value, str | int | float):
            return value
        raise Refused(("#", f"must not have a YAML value of the type {type(value).__name__}"))

    return copy(value, 0)


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool | int | float) or key is None:
        return json.dumps(key)
    raise Refused(("#", "must have only text as keys"))


def _walk(value: Any, pointer: str = "#") -> Iterator[tuple[str, str, Any]]:
    """Every member of every object: its pointer, name, value."""
    if isinstance(value, dict):
        for name, each in value.items():
            at = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
            yield at, name, each
            yield from _walk(each, at)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _walk(each, f"{pointer}/{index}")


def _reference_faults(document: dict[str, Any]) -> Iterator[Fault]:
    for pointer, name, value in _walk(document):
        if not isinstance(value, str):
            continue
        if name in ("$ref", "operationRef"):
            if not value.startswith("#/"):
                yield pointer, "must refer to this document: start with `#/`"
            elif name == "$ref" and (rule := _leads_nowhere(document, value)):
                yield pointer, rule
        elif name == "$dynamicRef" and not value.startswith("#"):
            yield pointer, "must refer to this document: start with `#`"
        elif name == "$id":
            yield pointer, "must not change what references are relative to"


def _leads_nowhere(document: dict[str, Any], reference: str) -> str | None:
    """Why not, or None when there is something at the end of it."""
    seen: set[str] = set()
    while True:
        if reference in seen:
            return "must not lead back to itself"
        seen.add(reference)
        value: Any = document
        for part in reference[2:].split("/"):
            value = _step(value, part)
            if value is None:
                return "must point to something in this document"
        following = value.get("$ref") if isinstance(value, dict) else None
        if not isinstance(following, str) or not following.startswith("#/"):
            return None
        reference = following


def _step(value: Any, part: str) -> Any:
    from urllib.parse import unquote

    name = unquote(part).replace("~1", "/").replace("~0", "~")
    if isinstance(value, dict):
        return value.get(name)
    if isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
        return value[int(name)]
    return None


def _serve_from(document: dict[str, Any], server: str) -> None:
    """Consumers call through AMS, whatever servers the document names."""
    document["servers"] = [{"url": server}]
    items = [*_values(document.get("paths")), *_values(_member(document.get("components"), "pathItems"))]
    for item in items:
        item.pop("servers", None)
        for method in _METHODS:
            if isinstance(operation := item.get(method), dict):
                operation.pop("servers", None)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _values(value: Any) -> list[dict[str, Any]]:
    return [each for each in value.values() if isinstance(each, dict)] if isinstance(value, dict) else []


def _invalid(document: Mapping[str, Any], version: str) -> Iterator[Fault]:
    from jsonschema_path.paths import SchemaPath
    from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

    kind = OpenAPIV30SpecValidator if version.startswith("3.0") else OpenAPIV31SpecValidator
    by_schema = [_innermost(e) for e in islice(kind.schema_validator.iter_errors(document), ERRORS_MAX)]
    for error in by_schema:
        yield _fault(error)
    if by_schema:
        return  # what follows relies on the form
    validator = kind(SchemaPath.from_dict(document, handlers={}))
    try:
        for error in validator.root_validator(validator.schema_path):
            yield _fault(error)
    except RecursionError:
        return  # schemas that contain themselves are fine; what they were compared for is not worth a refusal


def _innermost(error: Any) -> Any:
    """Of the alternatives that a value matches none of, what is wrong with the one that came furthest."""
    while error.context:
        error = max(error.context, key=lambda each: len(each.absolute_path))
    return error


def _fault(error: Any) -> Fault:
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in error.absolute_path]
    return "/".join(["#", *parts]), error.message.partition("\n")[0][:RULE_CHARACTERS_MAX]


def main() -> None:
    """Standard input is a line of JSON with `form` and `server`, then the document; standard output is JSON with either
    `document` or `faults`."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    asked, _, text = sys.stdin.buffer.read().partition(b"\n")
    options = json.loads(asked)
    answer: dict[str, Any]
    try:
        answer = {"document": vet(text, options["form"], options["server"])}
    except Refused as refused:
        answer = {"faults": refused.faults}
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - the validator meets forms that its authors did not think of
        answer = {"faults": [("#", f"cannot be checked: {type(error).__name__}")]}
    sys.stdout.write(json.dumps(answer, allow_nan=False))


if __name__ == "__main__":
    main()
