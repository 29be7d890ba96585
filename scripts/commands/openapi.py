"""The API's OpenAPI document, and what is generated from it and for it.

`scripts/openapi` prints the document; `scripts/openapi client` writes the TypeScript client's schema.d.ts anew, and
`scripts/openapi codes` the list of problem codes in the document, from docs/errors.md.
"""

import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scripts.local_settings import ROOT
from shared.api.app import create_app
from shared.api.problem_codes import FILE as CODES

CLIENT = ROOT / "portal-static" / "client"
SCHEMA = CLIENT / "src" / "schema.d.ts"
GENERATOR = CLIENT / "node_modules" / ".bin" / "openapi-typescript"

app = typer.Typer(add_completion=False)


def document() -> dict[str, Any]:
    """As `GET /api/v1/openapi.json` answers it."""
    return create_app(cast("Any", None)).openapi()  # describing routes needs none of the application's parts


def generated() -> str:
    """What schema.d.ts must be. Raises CalledProcessError, and FileNotFoundError without the client's node_modules."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "openapi.json"), Path(folder, "schema.d.ts")
        source.write_text(json.dumps(document()))
        command: list[str | Path] = [GENERATOR, source, "-o", target]
        subprocess.run(command, check=True, capture_output=True, cwd=CLIENT)  # noqa: S603 - no word is from outside
        return target.read_text()


def problem_codes() -> str:
    """What problem_codes.json must be: every row of docs/errors.md, in its order."""
    rows = [
        line.strip("| ") for line in (ROOT / "docs" / "errors.md").read_text().splitlines() if line.startswith("| `")
    ]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in rows]
    listed = [
        {"code": code.strip("`"), "status": int(status), "meaning": meaning, "what_to_do": what_to_do}
        for code, status, meaning, what_to_do in cells
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"


@app.command(help=__doc__)
def main(what: Annotated[str, typer.Argument(help="`document`, `client` or `codes`.")] = "document") -> None:
    if what == "document":
        typer.echo(json.dumps(document(), indent=2))
    elif what == "client":
        SCHEMA.write_text(generated())
    elif what == "codes":
        CODES.write_text(problem_codes())
    else:
        raise typer.BadParameter("must be `document`, `client` or `codes`")


if __name__ == "__main__":
    app()
