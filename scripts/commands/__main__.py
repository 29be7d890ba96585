"""`scripts/ams`: one command for operators; each of its commands is imported when it is called."""

from collections.abc import Callable
from importlib import import_module

import typer

COMMANDS = {
    "audit": "Verify the audit log, and print anchors for later.",
    "close-month": "Close a month now: the invoices of every merchant.",
    "openapi": "The API's OpenAPI document, and what is generated from it and for it.",
    "parked": "Look at events that could not be counted, and replay them.",
    "replay-access-log": "Report a web server's access log as usage.",
    "seed": "Load a market from a file, and print its API keys.",
    "sign-in": "Sign in at the development provider, and print the access token.",
    "verify-invoice": "Recompute an invoice from its records, offline.",
}
"""What the list of commands says of each. The module of `close-month` is `close_month.py`."""

# Everything behind the command's name is the command's own, `--help` too.
_FORWARDED = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "allow_interspersed_args": False,
    "help_option_names": [],
}

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback(epilog="Options of a command: scripts/ams NAME --help")
def main() -> None:
    """Commands for operators and developers. Settings come from the environment, else from local.settings.json."""


def _calling(module: str) -> Callable[[typer.Context], None]:
    def call(context: typer.Context) -> None:
        import_module(f"scripts.commands.{module}").app(context.args, prog_name=context.command_path)

    return call


for _name, _summary in COMMANDS.items():
    app.command(_name, help=_summary, context_settings=_FORWARDED)(_calling(_name.replace("-", "_")))

if __name__ == "__main__":
    app(prog_name="scripts/ams")
