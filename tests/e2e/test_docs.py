"""The documentation names what the code has, and nothing else."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from scripts.host.options import LIMITS_VARIABLE, HostLimits
from scripts.seeding.billing import DescribedBilling, DescribedPrices
from scripts.seeding.market import (
    DescribedConsumer,
    DescribedGrant,
    DescribedKey,
    DescribedMerchant,
    DescribedProject,
    DescribedService,
    Market,
)
from shared.catalog.models import CallLimits, UpstreamConfig
from shared.metering.counting.parked import ParkReason
from shared.metering.events import ReportedEvent, UsageData
from shared.settings import Settings, load_settings, variable
from tests.support.paths import ROOT

DOCS = ROOT / "docs"
PROVIDER_SETTINGS = ROOT / "scripts" / "provider" / "settings.js"


def _rows(text: str) -> list[list[str]]:
    """The cells of every table row whose first cell is a name in backticks."""
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.split("|")] for line in lines]


def _named(document: str, heading: str | None = None) -> list[str]:
    """What the first column of the tables of a document, or of one of its sections, names."""
    text = (DOCS / document).read_text()
    if heading is not None:
        _, found, rest = text.partition(f"\n{heading}\n")
        assert found, f"{document} has no {heading}"
        text = re.split(r"\n#+ ", rest)[0]
    return [row[0] for row in _rows(text)]


def _assert_same(documented: list[str], actual: Iterable[str]) -> None:
    assert sorted(documented) == sorted(actual)  # sorted lists: one that is named twice is told too


def test_every_setting_is_documented_once() -> None:
    settings = {variable(name) for name in Settings.model_fields}
    sample = set(json.loads((ROOT / "local.settings.sample.json").read_text())["Values"])
    of_the_host = {"AMS_PORT", LIMITS_VARIABLE} | set(HostLimits.model_fields)
    of_the_provider = set(re.findall(r"'(AMS_\w+)'", PROVIDER_SETTINGS.read_text()))

    _assert_same(_named("settings.md"), settings | sample | of_the_host | of_the_provider | {"AMS_SECRET_<NAME>"})


def test_the_sample_has_every_setting() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]

    assert {variable(name) for name in Settings.model_fields} <= set(sample)


def test_the_sample_is_the_defaults_for_a_machine_whose_upstreams_may_be_its_own() -> None:
    sample = json.loads((ROOT / "local.settings.sample.json").read_text())["Values"]
    of_functions = {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    secrets = {name for name in sample if name.startswith("AMS_SECRET_")}

    assert set(sample) - of_functions - secrets == {variable(name) for name in Settings.model_fields}
    assert load_settings(sample) == load_settings({"AMS_UPSTREAM_ALLOW_PRIVATE": "true"})


def test_documented_defaults_are_the_settings_defaults() -> None:
    documented = {row[0]: row[1] for row in _rows((DOCS / "settings.md").read_text())}

    for name, field in Settings.model_fields.items():
        default = {None: "", False: "false", (): ""}.get(field.default, field.default)
        assert _number(documented[variable(name)]) == _number(str(default)), name
    for name, field in HostLimits.model_fields.items():
        assert _number(documented[name]) == _number(str(field.default)), name
    of_the_provider = re.findall(r"whole\(environ, '(\w+)', (\d+)", PROVIDER_SETTINGS.read_text())
    assert len(of_the_provider) >= 4
    for name, default in of_the_provider:
        assert _number(documented[name]) == _number(default), name


def _number(text: str) -> float | str:
    return float(text) if re.fullmatch(r"[0-9.]+", text) else text


def test_every_problem_code_is_documented_once_with_its_status() -> None:
    documented = {row[0]: row[1] for row in _rows((DOCS / "errors.md").read_text())}
    raised = [problem for file in _sources() for problem in _problems(ast.parse(file.read_text()))]

    _assert_same(_named("errors.md"), {code for code, _ in raised})
    for code, status in raised:
        assert status in (None, documented[code]), code


def test_every_field_of_a_usage_event_is_documented() -> None:
    _assert_same(_named("usage-events.md", "### Attributes"), ReportedEvent.__struct_fields__)
    _assert_same(_named("usage-events.md", "### `data`"), UsageData.__struct_fields__)


def test_every_field_of_a_seed_file_is_documented() -> None:
    sections: dict[str, type[BaseModel]] = {
        "### `merchants[]`": DescribedMerchant,
        "### `merchants[].billing`": DescribedBilling,
        "### `services[]`": DescribedService,
        "### `services[].prices`": DescribedPrices,
        "### `services[].upstream`": UpstreamConfig,
        "### `limits` of a service or a key": CallLimits,
        "### `consumers[]`": DescribedConsumer,
        "### `consumers[].projects[]`": DescribedProject,
        "### `consumers[].grants[]`": DescribedGrant,
        "### `consumers[].keys[]`": DescribedKey,
    }

    for heading, model in sections.items():
        _assert_same(_named("seed.md", heading), model.model_fields)
    assert {"merchants", "services", "consumers"} == set(Market.model_fields)


def test_every_reason_for_parking_is_documented() -> None:
    _assert_same(_named("parked.md"), get_args(ParkReason))


def _sources() -> Iterator[Path]:
    for folder in ("functions", "scripts", "shared"):
        yield from (ROOT / folder).rglob("*.py")


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def _problems(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """Code and status (None when it varies) of every `Problem(status, code, …)` that a module can make."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in (tree, *functions):
        for call in _calls(scope, "Problem"):
            status, code = call.args[:2]
            codes = _values(tree, scope, code.id) if isinstance(code, ast.Name) else _constants(code)
            for text in codes:
                yield text, str(status.value) if isinstance(status, ast.Constant) else None


def _values(tree: ast.Module, scope: ast.AST, name: str) -> Iterator[str]:
    """Texts that a variable can have: passed as that parameter, or from what it was assigned."""
    if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    parameters = [parameter.arg for parameter in scope.args.args]
    if name in parameters:
        position = parameters.index(name)
        yield from (code for call in _calls(tree, scope.name) for code in _constants(call.args[position]))
    for value in _assigned(scope, name):
        yield from _constants(value)
        for used in ast.walk(value):  # such as a table of the module that it is looked up in
            if isinstance(used, ast.Name):
                yield from (code for table in _assigned(tree, used.id) for code in _constants(table))


def _assigned(scope: ast.AST, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(scope):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None and any(isinstance(each, ast.Name) and each.id == name for each in targets):
            yield value


def _constants(node: ast.AST) -> Iterator[str]:
    for found in ast.walk(node):
        if isinstance(found, ast.Constant) and isinstance(found.value, str):
            yield found.value
