"""The generated TypeScript client says what the API says, and compiles."""

import subprocess

from scripts.openapi import CLIENT, SCHEMA, generated


def test_the_client_is_generated_from_the_api_as_it_is() -> None:
    assert SCHEMA.read_text() == generated(), "run scripts/openapi client, and commit what it writes"


def test_the_client_compiles() -> None:
    done = subprocess.run(
        [CLIENT / "node_modules" / ".bin" / "tsc", "--noEmit"], cwd=CLIENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
