"""`python -m scripts.host`: serve the function app, or fire one of its timers now."""

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from scripts.host import supervisor
from scripts.host.options import EXIT_MISCONFIGURED, Options, limits_from_environment
from scripts.local_settings import ROOT, use_local_settings
from shared.kernel import telemetry

app = typer.Typer(add_completion=False, no_args_is_help=False, pretty_exceptions_enable=False)
_logger = logging.getLogger("scripts.host")


def _options(root: Path, data: Path | None, module: str) -> Options:
    if data is not None:
        os.environ["AMS_DATA"] = str(data.absolute())
    use_local_settings(root)
    log_level = os.environ.get("AMS_LOG_LEVEL") or "info"
    telemetry.log_json(log_level)
    return Options(
        root=root,
        data=Path(os.environ["AMS_DATA"]),
        module=module,
        log_level=log_level,
        limits=limits_from_environment(),
    )


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    port: Annotated[int, typer.Option(envvar="AMS_PORT", min=0, max=65535, help="0 takes a free one.")] = 7071,
    bind: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer HTTP.")] = 1,
    data: Annotated[Path | None, typer.Option(help="The data folder; else AMS_DATA, else .local.")] = None,
    root: Annotated[Path, typer.Option(help="The folder of function_app.py and host.json.")] = ROOT,
    module: Annotated[str, typer.Option(help="The module of the function app.")] = "function_app",
) -> None:
    """Serve the function app until a signal to stop."""
    try:
        options = _options(supervisor.check_root(root), data, module)
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(EXIT_MISCONFIGURED) from None
    if context.invoked_subcommand is not None:
        context.obj = options
        return
    try:
        listener = supervisor.bind(bind, port)
    except OSError as error:
        print(f"cannot listen on {bind} port {port}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(1) from None
    _logger.info("listening", extra={"address": bind, "port": listener.getsockname()[1]})
    raise typer.Exit(asyncio.run(_supervise(options, listener, workers)))


@app.command()
def fire(context: typer.Context, timer: Annotated[str, typer.Argument(help="The timer's function name.")]) -> None:
    """Run one timer now, in this process, whatever its schedule."""
    # Imported here: the supervisor, which starts with this module too, has no use for the functions' libraries.
    import uvloop

    from scripts.host import background, lifecycle

    options: Options = context.obj
    lifecycle.prepare(options)
    refusal = uvloop.run(background.fire(options, timer))
    if refusal is not None:
        print(refusal, file=sys.stderr)
        raise typer.Exit(1)
    print(f"{timer} has run")


async def _supervise(options: Options, listener: socket.socket, workers: int) -> int:
    return await supervisor.Supervisor(options, listener, workers).run()


if __name__ == "__main__":
    app()
