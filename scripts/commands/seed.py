"""Load a market (merchants, services, consumers, grants, projects, API keys) and print its new keys as JSON.

They are shown this once. Loading again changes nothing that is the same. docs/seed.md describes the file.
"""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from scripts.local_settings import ROOT, use_local_settings
from scripts.seeding.loader import seed
from scripts.seeding.market import MarketError, read_market
from scripts.terminal import failure
from shared.kernel.errors import Unavailable
from shared.platform.secrets import SecretMissing

DEMO = ROOT / "scripts" / "demo_market.json"
FAILED, UNUSABLE = 1, 2
"""Exit codes: settings or stores are not usable; the file is not."""

app = typer.Typer(add_completion=False)


@app.command(help=__doc__, epilog="Example: scripts/ams seed --from market.json > keys.json")
def main(
    source: Annotated[Path, typer.Option("--from", help="The market to load, see docs/seed.md.")] = DEMO,
) -> None:
    try:
        use_local_settings()
        keys = asyncio.run(seed(read_market(source)))
    except MarketError as error:
        raise failure(f"{source}: {error}", UNUSABLE) from None
    except (SecretMissing, Unavailable, ValueError) as error:
        raise failure(str(error), FAILED) from None
    typer.echo(json.dumps({"keys": keys}, indent=2))
