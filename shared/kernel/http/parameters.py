"""Parameters that many operations have, each described once."""

from typing import Annotated

from fastapi import Header
from pydantic import Field

PAGE_SIZE_MAX = 100

PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX, description="At most how many items the page has.")]
Cursor = Annotated[
    str | None,
    Field(description="`next_cursor` of the page before, with the same filters; without it, the first page."),
]
IfMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` of what was read, so that nobody's change is lost. Without it a change is refused with"
        " 428, with another one with 412; `*` changes whatever is there.",
        examples=['"0a1b2c"'],
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(description="The `ETag` of what the caller has: 304 without a body while it is still the same.")
]
