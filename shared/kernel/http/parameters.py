"""Parameters that many operations have, each described once."""

from typing import Annotated

from fastapi import Header
from pydantic import Field, WithJsonSchema

PAGE_SIZE_MAX = 100

PageSize = Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX, description="Maximum number of items in a page.")]
Cursor = Annotated[
    str | None,
    Field(
        description="`next_cursor` of the previous page, with the same filters. Left out, the answer is the first page."
    ),
]

IF_MATCH_REQUIRED = (
    "The `ETag` of the version that you read. Missing: 428; outdated: 412. `*` skips the check."  # and is found by this
)
IF_MATCH_TO_REPLACE = (
    "Leave it out to create. To change what is there, send the `ETag` of the version that you read. Missing then: 428;"
    " outdated: 412."
)
_TAG = WithJsonSchema({"type": "string", "examples": ['"0a1b2c"']})
IfMatch = Annotated[str | None, _TAG, Header(alias="If-Match", description=IF_MATCH_REQUIRED)]
"""Missing is a 428 of `check_match`, and not FastAPI's 400; the document says that the header is required."""
IfMatchToReplace = Annotated[str | None, _TAG, Header(alias="If-Match", description=IF_MATCH_TO_REPLACE)]
"""Of a PUT that also creates."""
OptionalIfMatch = Annotated[
    str | None,
    _TAG,
    Header(
        alias="If-Match",
        description="The `ETag` of the version that you read: 412 if it is outdated. Left out, nothing is checked.",
    ),
]
IF_NONE_MATCH = "The `ETag` of the version that you have: the answer is 304 without a body if it is current."
IfNoneMatch = Annotated[str | None, _TAG, Header(alias="If-None-Match", description=IF_NONE_MATCH)]
