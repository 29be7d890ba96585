"""The API's OpenAPI document, and the portal's client that is generated from it.

`scripts/openapi` prints the document; `scripts/openapi client` writes portal-static/client/src/schema.d.ts anew.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from scripts.environment import ROOT
from shared.api.app import create_app

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


@app.command(help=__doc__)
def main(what: Annotated[str, typer.Argument(help="`document` or `client`.")] = "document") -> None:
    if what == "document":
        typer.echo(json.dumps(document(), indent=2))
    elif what == "client":
        SCHEMA.write_text(generated())
    else:
        raise typer.BadParameter("must be `document` or `client`")


if __name__ == "__main__":
    app()
