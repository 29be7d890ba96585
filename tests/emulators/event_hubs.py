"""An Event Hubs namespace with one hub, as an AMQP 1.0 peer on a loopback port, for the real azure-eventhub SDK.

It does what the service does and the SDK relies on, no more. The log outlives `stop` and `start`, as a broker's disk
does. `faults` and `gate` make the failures that a test cannot ask of the real service.
"""

import asyncio
import contextlib
import itertools
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from azure.eventhub._pyamqp.message import Message

from tests.emulators.event_hubs_amqp import Connection, Fault
from tests.support.ports import free_port

HUB = "usage"
MESSAGE_BYTES_MAX = 1024 * 1024


class PeerEvent(NamedTuple):
    """One event of a partition; its sequence number is its index, its offset is not."""

    message: Message
    key: bytes | None
    enqueued_ms: int
    offset: int

    @property
    def body(self) -> bytes:
        return b"".join(self.message.data)


class EventHubsPeer:
    """`async with EventHubsPeer() as peer:` and give `peer.connection_string` to the adapter."""

    def __init__(self, partitions: int = 4, message_bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self.name = HUB
        self.logs: list[list[PeerEvent]] = [[] for _ in range(partitions)]
        self.first_kept = [0] * partitions
        """The first sequence number that each partition still tells of: what is before is past its retention time."""
        self.message_bytes_max = message_bytes_max
        self.faults: deque[Fault] = deque()
        """One is taken for each send that arrives, until there are none."""
        self.gate = asyncio.Event()
        """While clear, sends arrive and are neither stored nor confirmed."""
        self.gate.set()
        self.arrived = asyncio.Semaphore(0)
        """Released once for each send that arrives."""
        self.sends: list[int] = []
        """How many events each confirmed send held."""
        self.senders_attached = 0
        self._round_robin = itertools.cycle(range(partitions))
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._server: asyncio.Server | None = None
        self._port = free_port()

    @property
    def connection_string(self) -> str:
        """Without TLS, as Microsoft's own emulator has it."""
        endpoint = f"Endpoint=sb://127.0.0.1:{self._port}"
        return f"{endpoint};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true;"

    async def __aenter__(self) -> "EventHubsPeer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; after a `stop`, on the same port and with the same log."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)

    async def stop(self) -> None:
        """Refuse connections and drop those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection = Connection(self, reader, writer)
        try:
            # A client that goes away, or `stop`, ends the connection and nothing else.
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await connection.run()
        finally:
            del self._connections[task]
            writer.close()

    async def arrive(self) -> Fault | None:
        """Count a send that arrived, hold it at the gate, and tell what is to happen to it."""
        self.arrived.release()
        await self.gate.wait()
        return self.faults.popleft() if self.faults else None

    def store(self, partition: int | None, key: bytes | None, messages: Sequence[Message]) -> None:
        """Append one send, to `partition` or to that of its key, and hand it to the receivers that wait for it."""
        if partition is None:
            partition = zlib.crc32(key) % len(self.logs) if key else next(self._round_robin)
        log = self.logs[partition]
        for message in messages:
            offset = log[-1].offset + 57 if log else 0
            log.append(PeerEvent(message, key, time.time_ns() // 1_000_000, offset))
        for connection in self._connections.values():
            connection.deliver()


@contextlib.asynccontextmanager
async def mute_listener() -> AsyncIterator[str]:
    """The connection string of a listener that takes connections and never says a word."""
    open_connections: set[asyncio.StreamWriter] = set()
    server = await asyncio.start_server(lambda _, writer: open_connections.add(writer), "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        endpoint = f"Endpoint=sb://127.0.0.1:{port}"
        yield f"{endpoint};SharedAccessKeyName=any;SharedAccessKey=any;UseDevelopmentEmulator=true;"
    finally:
        server.close()
        for writer in open_connections:
            writer.close()
