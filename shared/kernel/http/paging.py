"""Opaque cursors, bound to the query that they continue: in another one they would skip without a word."""

import base64
import binascii
import json

from shared.kernel.errors import FieldError, Problem


def encode_cursor(asked: str, position: object) -> str:
    """`asked` names the query and all of its filters, `position` is anything of JSON."""
    return base64.urlsafe_b64encode(json.dumps([asked, position]).encode()).decode().rstrip("=")


def decode_cursor(asked: str, cursor: str) -> object:
    """The position. Raises Problem 400 `cursor_invalid` when the cursor comes from elsewhere than the same query."""
    try:
        of, position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise bad_cursor() from None
    if of != asked:
        raise bad_cursor()
    result: object = position
    return result


def bad_cursor() -> Problem:
    rule = "must be a `next_cursor` of the same query"
    return Problem(400, "cursor_invalid", f"`cursor` {rule}.", errors=(FieldError("cursor", rule),))
