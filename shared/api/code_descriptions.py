"""Every problem code, as docs/errors.md explains it, for the OpenAPI document (made by `scripts/ams openapi codes`)."""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

CODES_FILE = Path(__file__).parent / "problem_codes.json"


class CodeDescription(NamedTuple):
    """What docs/errors.md says of one problem code. `meaning` and `what_to_do` are Markdown."""

    code: str
    status: int
    meaning: str
    what_to_do: str


@cache
def code_descriptions() -> tuple[CodeDescription, ...]:
    """List every code with its description, in the order of docs/errors.md."""
    return tuple(CodeDescription(**entry) for entry in json.loads(CODES_FILE.read_text()))
