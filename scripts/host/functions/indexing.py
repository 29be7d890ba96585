"""Indexing: from the module `function_app` to functions that can be called, by the rules of the Azure worker.

What the worker refuses is refused here with the function's name, where on Azure it would make functions vanish. The
rules are those of `loader.py` and `functions.py` in PyPI's azure-functions-runtime.
"""

import importlib
import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import azure.functions as func
from azure.functions.decorators.core import Binding, BindingDirection, Trigger
from azure.functions.decorators.function_app import Function

from scripts.host.functions.annotations import AnnotationError, check_annotation

RETURN = "$return"
FOR_EVER = -1
_OUT_IMPLICIT = frozenset({"activityTrigger", "orchestrationTrigger", "entityTrigger"})


class IndexingError(Exception):
    """The worker would not index the app; the message says why. The message says which function, and why."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failed call is tried again: `retries` times, FOR_EVER without end."""

    retries: int
    first: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class IndexedFunction:
    """A function that can be called: `argument` names the parameter of the trigger; `context` says whether there is one
    for the context too."""

    name: str
    call: Callable[..., Any]
    is_async: bool
    trigger: Trigger
    argument: str
    context: bool
    has_return: bool
    streams_body: bool
    directory: str
    retry: RetryPolicy | None

    @property
    def kind(self) -> str:
        """The trigger's type, such as `httpTrigger`."""
        return str(self.trigger.type)


def index_module(module_name: str) -> tuple[IndexedFunction, ...]:
    """Import `module_name` and index its functions. Raises IndexingError; what the import raises passes through."""
    app = _find_app(importlib.import_module(module_name))
    try:
        functions = app.get_functions()
    except ValueError as error:
        raise IndexingError(str(error)) from error
    return tuple(_index(function) for function in functions)


def _find_app(module: object) -> func.FunctionApp:
    apps = [value for name in dir(module) if isinstance(value := getattr(module, name), func.FunctionRegister)]
    if len(apps) != 1:
        found = "no FunctionApp" if not apps else f"{len(apps)} FunctionApps"
        raise IndexingError(f"{module.__name__} must have exactly one FunctionApp at its top level; it has {found}")  # type: ignore[attr-defined]  # modules have it
    return cast("func.FunctionApp", apps[0])


def _index(function: Function) -> IndexedFunction:
    name = str(function.get_function_name())
    try:
        return _Indexing(name, function).run()
    except (AnnotationError, NameError, TypeError, ValueError) as error:
        raise IndexingError(f"function {name}: {error}") from error


class _Indexing:
    """One function's checks, in the worker's order."""

    def __init__(self, name: str, function: Function) -> None:
        self._name = name
        self._function = function
        self._call = function.get_user_function()
        self._parameters = dict(inspect.signature(self._call).parameters)
        self._hints = self._type_hints()

    def _type_hints(self) -> Mapping[str, Any]:
        try:
            return typing.get_type_hints(self._call)
        except NameError as error:
            raise ValueError(f"an annotation cannot be resolved at run time: {error}") from error

    def run(self) -> IndexedFunction:
        bound = {str(b.name): b for b in self._function.get_bindings() if b.name != RETURN}
        returns = [b for b in self._function.get_bindings() if b.name == RETURN]
        for binding in returns:
            if binding.direction != BindingDirection.OUT.value:
                raise ValueError('the "$return" binding must have the direction "out"')
        context = self._takes_context(bound)
        self._match(bound)
        for parameter in self._parameters:
            if parameter in self._hints:
                check_annotation(parameter, self._hints[parameter], bound[parameter])
        trigger = self._function.get_trigger()
        assert trigger is not None, "get_functions refuses a function without a trigger"
        is_async = inspect.iscoroutinefunction(self._call)
        streams_body = bool(getattr(self._call, "streams_body", False))
        if streams_body and not is_async:
            raise ValueError("a function that streams its body must be `async def`")
        return IndexedFunction(
            name=self._name,
            call=self._call,
            is_async=is_async,
            trigger=trigger,
            argument=str(trigger.name),
            context=context,
            has_return=bool(returns) or any(b.type in _OUT_IMPLICIT for b in bound.values()),
            streams_body=streams_body,
            directory=str(Path(inspect.getfile(self._call)).parent),
            retry=_retry_policy(self._function),
        )

    def _takes_context(self, bound: Mapping[str, Binding]) -> bool:
        if "context" not in self._parameters or "context" in bound:
            return False
        del self._parameters["context"]
        hint = self._hints.get("context", func.Context)
        if not isinstance(hint, type) or hint.__name__ != "Context":
            raise TypeError(f"the parameter context must be annotated azure.functions.Context, not {hint!r}")
        return True

    def _match(self, bound: Mapping[str, Binding]) -> None:
        if unbound := sorted(set(self._parameters) - set(bound)):
            raise ValueError(f"parameters without a binding: {', '.join(unbound)}")
        if missing := sorted(set(bound) - set(self._parameters)):
            raise ValueError(f"bindings without a parameter: {', '.join(missing)}")
        if others := sorted(name for name, binding in bound.items() if not isinstance(binding, Trigger)):
            raise ValueError(f"this host serves triggers only, not the bindings {', '.join(others)}")


def _retry_policy(function: Function) -> RetryPolicy | None:
    settings = function.get_settings_dict("retry_policy")
    if not settings:
        return None
    retries = int(settings["max_retry_count"])
    if retries < FOR_EVER:
        raise ValueError("max_retry_count must be -1 (for ever) or more")
    if settings["strategy"] == "fixed_delay":
        delay = _duration(settings.get("delay_interval"), timedelta(0))
        return RetryPolicy(retries, delay, delay)
    first = _duration(settings.get("minimum_interval"), timedelta(0))
    return RetryPolicy(retries, first, _duration(settings.get("maximum_interval"), timedelta.max))


def _duration(text: str | None, default: timedelta) -> timedelta:
    if text is None:
        return default
    hours, _, rest = text.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return timedelta(hours=int(hours), minutes=int(minutes), seconds=int(seconds))
    except ValueError:
        raise ValueError(f"a retry interval must be HH:MM:SS, not {text!r}") from None


def check_result(function: IndexedFunction, result: object) -> None:
    """Check what a function returned. Raises TypeError as the worker does."""
    if result is not None and not function.has_return:
        raise TypeError(f"function {function.name} without a $return binding returned {type(result).__name__}")
