"""What the Azure worker refuses is refused here, naming the function."""

import sys
import uuid
from datetime import timedelta

import pytest

from scripts.host.background import check_triggers, make_timers
from scripts.host.functions.dispatch import Dispatcher
from scripts.host.functions.indexing import FOR_EVER, IndexingError, check_result, index_module
from tests.support.function_app import functions

HEAD = """
from typing import List
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""

HUB = 'app.event_hub_message_trigger(arg_name="events", event_hub_name="h", connection="C", cardinality="{}")\n'


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Index a function app given as source."""
    monkeypatch.syspath_prepend(tmp_path)
    names = []

    def run(source, head=HEAD):
        names.append(f"app_{uuid.uuid4().hex}")
        (tmp_path / f"{names[-1]}.py").write_text(head + source)
        return index_module(names[-1])

    yield run
    for name in names:
        sys.modules.pop(name, None)


def test_an_app_is_indexed_with_everything_that_calling_it_needs(index):
    functions = index(
        """
from functions.http.streaming import streams_body
@app.function_name("one")
@app.route("one", methods=["POST"])
@streams_body
async def first(req: func.HttpRequest, context: func.Context) -> func.HttpResponse: ...

@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *", run_on_startup=False)
def second(timer: func.TimerRequest) -> None: ...

@"""
        + HUB.format("many")
        + """
@app.retry(strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:01",
           maximum_interval="00:01:00")
async def third(events: List[func.EventHubEvent]) -> None: ...
"""
    )
    by_name = {function.name: function for function in functions}
    assert set(by_name) == {"one", "second", "third"}
    one, second, third = by_name["one"], by_name["second"], by_name["third"]
    assert (one.kind, one.argument, one.context, one.is_async, one.streams_body) == (
        "httpTrigger",
        "req",
        True,
        True,
        True,
    )
    assert (second.kind, second.is_async, second.has_return, second.retry) == ("timerTrigger", False, False, None)
    assert third.retry.retries == FOR_EVER
    assert (third.retry.first, third.retry.longest) == (timedelta(seconds=1), timedelta(minutes=1))


def test_the_projects_own_app_is_indexed():
    names = {function.name for function in functions()}
    assert {"consume", "consume_path", "portal", "aggregate_usage", "reconcile_usage"} <= names


def test_a_module_without_an_app_is_refused(index):
    with pytest.raises(IndexingError, match="no FunctionApp"):
        index("import azure.functions as func\nblueprint = func.Blueprint()\n", head="")


def test_a_module_with_two_apps_is_refused(index):
    with pytest.raises(IndexingError, match="2 FunctionApps"):
        index("second = func.FunctionApp()\n")


ROUTE = '@app.route("{}")\n'

REFUSED = {
    "names that are not unique": (
        ROUTE.format("a") + "def same(req: func.HttpRequest) -> str: ...\n"
        '@app.function_name("same")\n' + ROUTE.format("b") + "def other(req: func.HttpRequest) -> str: ...\n",
        "same",
    ),
    "a parameter without a binding": (
        ROUTE.format("a") + "def f(req: func.HttpRequest, more: str) -> str: ...\n",
        "function f: parameters without a binding: more",
    ),
    "a binding without a parameter": (
        ROUTE.format("a") + "def f(request: func.HttpRequest) -> str: ...\n",
        "function f: .*request",
    ),
    "an annotation that cannot be resolved": (
        ROUTE.format("a") + "def f(req: 'func.HttpRequest', context: 'Missing') -> str: ...\n",
        "function f: an annotation cannot be resolved.*Missing",
    ),
    "an annotation of another trigger": (
        ROUTE.format("a") + "def f(req: func.TimerRequest) -> str: ...\n",
        "function f: parameter req: .*TimerRequest.* does not fit the binding httpTrigger",
    ),
    "a union": (
        ROUTE.format("a") + "def f(req: func.HttpRequest | None) -> str: ...\n",
        "function f: parameter req: .*is not a type that the worker takes",
    ),
    "list instead of typing.List": (
        "@" + HUB.format("many") + "def f(events: list[func.EventHubEvent]) -> None: ...\n",
        "function f: parameter events: .*typing.List",
    ),
    "one event for cardinality many": (
        "@" + HUB.format("many") + "def f(events: func.EventHubEvent) -> None: ...\n",
        "function f: parameter events: cardinality .* needs an annotation of typing.List",
    ),
    "many events for cardinality one": (
        "@" + HUB.format("one") + "def f(events: List[func.EventHubEvent]) -> None: ...\n",
        "function f: parameter events: cardinality .* needs an annotation of one event",
    ),
    "a context of another type": (
        ROUTE.format("a") + "def f(req: func.HttpRequest, context: str) -> str: ...\n",
        "function f: the parameter context must be annotated azure.functions.Context",
    ),
    "a retry interval that is not HH:MM:SS": (
        "@" + HUB.format("many") + '@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="5")\n'
        "def f(events: List[func.EventHubEvent]) -> None: ...\n",
        "function f: a retry interval must be HH:MM:SS",
    ),
    "an output binding, which this host has not": (
        ROUTE.format("a") + '@app.queue_output(arg_name="out", queue_name="q", connection="C")\n'
        "def f(req: func.HttpRequest, out: func.Out[str]) -> str: ...\n",
        "function f: this host serves triggers only, not the bindings out",
    ),
    "a streamed body in a thread": (
        "from functions.http.streaming import streams_body\n" + ROUTE.format("a") + "@streams_body\n"
        "def f(req: func.HttpRequest) -> str: ...\n",
        "function f: .*async def",
    ),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(index, source, message):
    with pytest.raises(IndexingError, match=message):
        index(source)


def test_a_result_without_a_return_binding_is_refused(index):
    (function,) = index(
        '@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *")\ndef f(timer: func.TimerRequest) -> str: ...\n'
    )
    check_result(function, None)
    with pytest.raises(TypeError, match=r"function f without a \$return binding returned str"):
        check_result(function, "done")


@pytest.mark.parametrize(
    ("template", "message"),
    [("a/{*rest}/b", "last segment"), ("{a}/{a}", "twice"), ("{a:int}", "segments"), ("{a}.{b}", "segments")],
)
def test_a_route_that_cannot_be_served_is_refused(index, template, message):
    functions = index(f'@app.route("{template}")\ndef f(req: func.HttpRequest) -> str: ...\n')
    with pytest.raises(IndexingError, match=f"function f: .*{message}"):
        Dispatcher(functions, "api", None, 1000)


def test_a_trigger_that_nobody_would_serve_is_refused(index):
    functions = index(
        '@app.queue_trigger(arg_name="msg", queue_name="q", connection="C")\n'
        "def f(msg: func.QueueMessage) -> None: ...\n"
    )
    with pytest.raises(IndexingError, match="function f: this host does not serve queueTrigger"):
        check_triggers(functions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ('schedule="0 0 3 * * *", run_on_startup=True', "run_on_startup"),
        ('schedule="0 3 * * *"', "six fields"),
        ('schedule="0 0 25 * * *"', "six fields"),
        ('schedule="%AMS_NO_SUCH_SETTING%"', "AMS_NO_SUCH_SETTING"),
    ],
)
def test_a_timer_that_cannot_be_kept_is_refused(index, tmp_path, arguments, message):
    functions = index(
        f'@app.timer_trigger(arg_name="timer", {arguments})\ndef f(timer: func.TimerRequest) -> None: ...\n'
    )
    with pytest.raises(IndexingError, match=f"function f: .*{message}"):
        make_timers(functions, tmp_path)
