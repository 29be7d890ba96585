"""The generated TypeScript client says what the API says, and compiles."""

import subprocess
from typing import get_args

from scripts.commands.openapi import (
    CLIENT,
    CODE_TYPE,
    SCHEMA,
    document,
    generated,
    problem_code_type,
    problem_codes_json,
)
from shared.api.code_descriptions import CODES_FILE, code_descriptions
from shared.kernel.problem_codes import ProblemCode


def test_the_client_is_built_and_compiles() -> None:
    SCHEMA.write_text(generated())
    done = subprocess.run(
        [CLIENT / "node_modules" / ".bin" / "tsc", "--noEmit"], cwd=CLIENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_description_lists_every_problem_code() -> None:
    assert CODES_FILE.read_text() == problem_codes_json(), "run scripts/ams openapi codes, and commit what it writes"
    listed = document()["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    assert {"key_unknown", "conflict", "state_invalid"} <= set(listed)


def test_the_type_of_problem_codes_is_what_the_documentation_lists() -> None:
    assert CODE_TYPE.read_text() == problem_code_type(), "run scripts/ams openapi codes, and commit what it writes"
    assert list(get_args(ProblemCode)) == [each.code for each in code_descriptions()]
