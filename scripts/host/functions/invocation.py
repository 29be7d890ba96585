"""Calling a function as the worker does: on the event loop when it is `async def`, else in a thread."""

import asyncio
import contextvars
import os
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import azure.functions as func
from azure.functions._abc import RetryContext, TraceContext

from scripts.host.functions.indexing import IndexedFunction, check_result

_local = threading.local()


class _Trace(TraceContext):
    def __init__(self, headers: Mapping[str, str]) -> None:
        self._parent = headers.get("traceparent", "")
        self._state = headers.get("tracestate", "")

    @property
    def trace_parent(self) -> str:
        return self._parent

    @property
    def trace_state(self) -> str:
        return self._state

    @property
    def attributes(self) -> dict[str, str]:
        return {}


class InvocationContext(func.Context):
    """What a function with a parameter `context` gets. `retries` is how often this call was tried before."""

    def __init__(self, function: IndexedFunction, headers: Mapping[str, str], retries: int = 0) -> None:
        self._function = function
        self._invocation_id = str(uuid.uuid4())
        self._trace = _Trace(headers)
        self._retry = _Retry(retries, function.retry.retries if function.retry else 0)

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        return _local

    @property
    def function_name(self) -> str:
        return self._function.name

    @property
    def function_directory(self) -> str:
        return self._function.directory

    @property
    def trace_context(self) -> TraceContext:
        return self._trace

    @property
    def retry_context(self) -> RetryContext:
        return self._retry


class _Retry(RetryContext):
    def __init__(self, count: int, count_max: int) -> None:
        self._count = count
        self._count_max = count_max

    @property
    def retry_count(self) -> int:
        return self._count

    @property
    def max_retry_count(self) -> int:
        return self._count_max

    @property
    def exception(self) -> Any:
        return None


NO_HEADERS: Mapping[str, str] = {}


async def invoke(
    function: IndexedFunction, value: object, headers: Mapping[str, str] = NO_HEADERS, retries: int = 0
) -> object:
    """Call `function` with its trigger's value. Raises what it raises, and TypeError for a result it must not have."""
    arguments = {function.argument: value}
    if function.context:
        arguments["context"] = InvocationContext(function, headers, retries)
    if function.is_async:
        result: object = await function.call(**arguments)
    else:
        run = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(_threads(), partial(run, function.call, **arguments))
    check_result(function, result)
    return result


@cache
def _threads() -> ThreadPoolExecutor:
    """Its own pool, so that slow functions cannot use up the loop's default one (name resolution, files)."""
    count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
    return ThreadPoolExecutor(int(count) if count else None, thread_name_prefix="function")
