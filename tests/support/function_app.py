"""The functions of AMS's own function app, as the host finds them."""

from functools import cache

from scripts.host.functions.indexing import IndexedFunction, index_module


@cache
def functions() -> tuple[IndexedFunction, ...]:
    """All functions. Azure's library lists those of an app once in a process, and calls each a duplicate afterwards."""
    return index_module("function_app")
