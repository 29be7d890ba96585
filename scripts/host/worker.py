"""A worker process: answers HTTP on a socket that it shares with the other workers."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import uvloop
from uvicorn import Config, Server

from scripts.host import lifecycle
from scripts.host.functions.dispatch import Dispatcher
from scripts.host.http.protocol import HostProtocol, sweep
from scripts.host.http.static import find_site
from scripts.host.options import HostLimits, Options, read_host_file

BACKLOG = 2048
SWITCH_INTERVAL_S = 0.0005
"""Writer threads give up the interpreter lock at each call into SQLite, and then wait a whole switch interval for the
busy event loop to hand it back: at Python's 5 ms, a commit of five calls would take 25 ms."""


class HostServer(Server):
    """uvicorn's server; signals are this host's business, and every tick enforces the connections' deadlines."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        sweep(self.server_state.connections)
        return await super().on_tick(counter)


def make_server(dispatcher: Dispatcher, limits: HostLimits) -> HostServer:
    protocol: Any = partial(HostProtocol, dispatcher, limits)
    config = Config(
        app=_unused,
        http=protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=limits.drain_s,  # type: ignore[arg-type]  # only awaited; fractions are for tests
    )
    return HostServer(config)


async def _unused(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("requests go to the dispatcher")


async def serve(options: Options, listener: socket.socket, lifeline: int | None) -> None:
    """Serve until told to stop; then answer what was received, and close the application."""
    functions = lifecycle.index_or_exit(options)
    prefix = read_host_file(options.root).extensions.http.route_prefix
    with lifecycle.misconfigured_exits(options):
        dispatcher = Dispatcher(functions, prefix, find_site(options.root), options.limits.body_bytes_max)
    server = make_server(dispatcher, options.limits)

    def stop() -> None:
        server.should_exit = True

    lifecycle.on_stop(stop, lifeline, options.limits.end_s)
    await server.serve(sockets=[listener])
    await lifecycle.close_application(options)


def main() -> None:
    """Run `python -m scripts.host.worker OPTIONS LISTENER LIFELINE`, the latter two as inherited file descriptors."""
    options = Options.model_validate_json(sys.argv[1])
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    lifecycle.prepare(options)
    uvloop.run(serve(options, socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3])))


if __name__ == "__main__":
    main()
