"""Rules for the files in functions/ whose breach nobody would see before Azure: each with an example of it."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FILES = sorted((ROOT / "functions").glob("**/*.py"))
Rule = Callable[[ast.Module], Iterator[str]]


def no_run_on_startup(tree: ast.Module) -> Iterator[str]:
    """A timer that also runs on every restart and scale-out would run many times (Azure host issue 5745)."""
    for keyword in _keywords(tree, "run_on_startup"):
        if not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False):
            yield f"{keyword.value.lineno}: run_on_startup must be False"


def no_cron_of_every_second(tree: ast.Module) -> Iterator[str]:
    """Six fields, the first of them the second: `*` there fires sixty times a minute."""
    for keyword in _keywords(tree, "schedule"):
        schedule = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        parts = schedule.split() if isinstance(schedule, str) else []
        if len(parts) != 6 or not parts[0].isdigit():
            yield f"{keyword.value.lineno}: a schedule is a text of six fields with one second in front"


def typing_list_for_batches(tree: ast.Module) -> Iterator[str]:
    """The worker takes `typing.List[...]` of a batch, while `list[...]` makes the app fail to index (issue 1524)."""
    from_typing = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "typing"
        for alias in node.names
        if alias.name == "List"
    }
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or not _takes_batches(function):
            continue
        for argument in function.args.args:
            annotation = argument.annotation
            of = annotation.value if isinstance(annotation, ast.Subscript) else None
            if not (isinstance(of, ast.Name) and of.id in from_typing):
                yield f"{argument.lineno}: {argument.arg} must be annotated with typing.List[...]"


def binary_for_batches(tree: ast.Module) -> Iterator[str]:
    """Else the host parses each body as JSON, and one that is not fails its batch for ever before the code sees it."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _takes_batches(function):
            types = [ast.unparse(keyword.value) for keyword in _keywords(function, "data_type")]
            if types != ["func.DataType.BINARY"]:
                yield f"{function.lineno}: {function.name} must have data_type=func.DataType.BINARY"


def no_imports_for_type_checking(tree: ast.Module) -> Iterator[str]:
    """The worker resolves annotations at run time: a name that only a type checker knows leaves the app empty."""
    for node in ast.walk(tree):
        if "TYPE_CHECKING" in (getattr(node, "id", None), getattr(node, "attr", None)):
            assert isinstance(node, ast.expr)
            yield f"{node.lineno}: TYPE_CHECKING"


def _keywords(tree: ast.AST, name: str) -> Iterator[ast.keyword]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == name:
            yield node


def _takes_batches(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
    return "event_hub_message_trigger" in decorators


_BATCH = "@b.event_hub_message_trigger(arg_name='e', cardinality='many')\n"
BREACHES: list[tuple[Rule, str]] = [
    (no_run_on_startup, "@b.timer_trigger(arg_name='t', schedule='0 0 3 * * *', run_on_startup=True)\ndef f(t): ..."),
    (no_cron_of_every_second, "@b.timer_trigger(arg_name='t', schedule='* 30 2 * * *')\ndef f(t): ..."),
    (no_cron_of_every_second, "@b.timer_trigger(arg_name='t', schedule='*/5 * * * *')\ndef f(t): ..."),
    (typing_list_for_batches, _BATCH + "def f(e: list[func.EventHubEvent]) -> None: ..."),
    (typing_list_for_batches, "from mine import List\n" + _BATCH + "def f(e: List[func.EventHubEvent]) -> None: ..."),
    (binary_for_batches, _BATCH + "def f(e: List[func.EventHubEvent]) -> None: ..."),
    (no_imports_for_type_checking, "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shared"),
    (no_imports_for_type_checking, "import typing\nif typing.TYPE_CHECKING:\n    import shared"),
]
RULES = sorted({rule for rule, _ in BREACHES}, key=lambda rule: rule.__name__)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule, path: Path) -> None:
    assert list(rule(ast.parse(path.read_text()))) == []


@pytest.mark.parametrize(("rule", "breach"), BREACHES, ids=lambda value: getattr(value, "__name__", ""))
def test_a_breach_is_seen(rule: Rule, breach: str) -> None:
    assert len(list(rule(ast.parse(breach)))) == 1


def test_there_is_something_to_look_at() -> None:
    assert {"aggregate_usage.py", "consume.py", "reconcile_usage.py"} <= {path.name for path in FILES}
