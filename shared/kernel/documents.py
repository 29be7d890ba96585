"""The base of every stored model: frozen, known fields only on input, tolerant of newer fields in the store."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Slug = Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
"""A DNS label: it appears in URLs and image names."""

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

Name = Annotated[str, Field(min_length=1, max_length=200)]


class StoredModel(BaseModel):
    """The base of everything that is stored: `to_json` and `model_validate_json` are the only ways to and from a
    document's body."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()


M = TypeVar("M", bound=StoredModel)


@dataclass(frozen=True, slots=True)
class Stored(Generic[M]):
    """A model as it was read, with the ETag that a change of it must name."""

    value: M
    etag: str


class ChangeNotifier:
    """Notifies whoever caches a store's documents that something in it was changed by this process."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def changed(self) -> None:
        for listener in self._listeners:
            listener()
