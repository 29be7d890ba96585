"""The API's OpenAPI document, and what is generated from it and for it."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import typer

from scripts.local_settings import ROOT
from shared.api.app import described
from shared.api.code_descriptions import CODES_FILE
from shared.kernel import problem_codes

CLIENT = ROOT / "portal-static" / "client"
SCHEMA = CLIENT / "src" / "schema.d.ts"
CODE_TYPE = Path(problem_codes.__file__)
RULES = ROOT / "scripts" / "linters" / "openapi" / "redocly.yaml"
LINTER = RULES.parent / "node_modules" / ".bin" / "redocly"
GENERATOR = CLIENT / "node_modules" / ".bin" / "openapi-typescript"

app = typer.Typer(no_args_is_help=True, add_completion=False)


def document() -> dict[str, Any]:
    """Make the document, as `GET /api/v1/openapi.json` answers it."""
    return described().openapi()


def generated() -> str:
    """Generate the types of the TypeScript client. Raises CalledProcessError, and FileNotFoundError without its
    node_modules."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        source.write_text(json.dumps(document()))
        command: list[str | Path] = [GENERATOR, source, "-o", target]
        subprocess.run(command, check=True, capture_output=True, cwd=CLIENT)  # noqa: S603 - no word is from outside
        return target.read_text()


def problem_codes_json() -> str:
    """Write what problem_codes.json must be: every row of docs/errors.md, in its order."""
    rows = [
        line.strip("| ") for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if line.startswith("| `")
    ]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    listed = [
        {"code": code.strip("`"), "status": int(status), "meaning": meaning, "what_to_do": what_to_do}
        for code, status, meaning, what_to_do in cells
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


def problem_code_type() -> str:
    """Write what shared/kernel/problem_codes.py must be: the type of every code that docs/errors.md has a row of."""
    names = "".join(f'    "{row["code"]}",\n' for row in json.loads(problem_codes_json()))
    return (
        '"""The type of problem codes, made from docs/errors.md by `scripts/ams openapi codes`. Do not edit."""\n\n'
        f"from typing import Literal\n\nProblemCode = Literal[\n{names}]\n"
    )


@app.callback(help=__doc__)
def main() -> None:
    """Have the sub-commands follow, however few they are."""


@app.command("document", epilog="Example: scripts/ams openapi document > openapi.json")
def print_document() -> None:
    """Print the document, as `GET /api/v1/openapi.json` answers it."""
    typer.echo(json.dumps(document(), indent=2))


@app.command("lint")
def lint_document() -> None:
    """Hold the document against the rules of scripts/linters/openapi/redocly.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "openapi.json")
        source.write_text(json.dumps(document(), indent=1))
        command: list[str | Path] = [LINTER, "lint", "--config", RULES, source]
        environment = {**os.environ, "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "REDOCLY_TELEMETRY": "off"}
        done = subprocess.run(command, check=False, env=environment)  # noqa: S603 - no word is from outside
    raise typer.Exit(done.returncode)


@app.command("client")
def write_client() -> None:
    """Build the TypeScript client's types, schema.d.ts, which git ignores."""
    SCHEMA.write_text(generated())


@app.command("codes")
def write_codes() -> None:
    """Write the document's list of problem codes, and their type, anew from docs/errors.md."""
    CODES_FILE.write_text(problem_codes_json())
    CODE_TYPE.write_text(problem_code_type())
