"""The bases of what the API takes and gives.

Stored models never appear on the wire themselves: an `Input` lists what a caller may write (unknown fields are refused,
so role, status or owner cannot be smuggled in), a `View` what one may see.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Input(BaseModel):
    """A request body. Unknown fields are an error that names them."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Reasoned(Input):
    """What a decision about somebody is made with: they are told, and the audit log keeps it."""

    reason: Annotated[str, Field(min_length=1, max_length=1_000)]


class View(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)
