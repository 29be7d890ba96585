"""Short names of the API's operations (`listKeys`), by which generated clients call them: the endpoint's own name."""

from collections.abc import Callable
from typing import Protocol


class Named(Protocol):
    """What a route of FastAPI tells of itself."""

    @property
    def name(self) -> str: ...


def operation_id(route: Named) -> str:
    """Name an operation after its endpoint: `list_keys` becomes `listKeys`. A test finds two operations of one name."""
    return _camel(route.name.split("_"))


def owned_operation_id(owner: str) -> Callable[[Named], str]:
    """For routes that each kind of owner has: `list_alerts` of `merchant` becomes `listMerchantAlerts`."""

    def named(route: Named) -> str:
        verb, *rest = route.name.split("_")
        return _camel([verb, owner, *rest])

    return named


def _camel(words: list[str]) -> str:
    return words[0] + "".join(word.capitalize() for word in words[1:])
