"""One AMQP 1.0 connection of the Event Hubs peer.

SASL ANONYMOUS, `$cbs`, `$management`, senders to the hub or to a partition, receivers from an offset, and one
acknowledgement per send.
"""

import asyncio
import enum
import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

# The SDK's own codec: it reads performatives by position, so both ends had better agree on every field.
from azure.eventhub._pyamqp import performatives as amqp
from azure.eventhub._pyamqp._decode import decode_frame, decode_payload
from azure.eventhub._pyamqp._encode import encode_frame, encode_payload
from azure.eventhub._pyamqp.endpoints import Source
from azure.eventhub._pyamqp.error import AMQPError
from azure.eventhub._pyamqp.message import Message, Properties
from azure.eventhub._pyamqp.outcomes import Accepted, Rejected
from azure.eventhub._pyamqp.types import TYPE, VALUE, AMQPTypes

if TYPE_CHECKING:
    from tests.emulators.event_hubs import EventHubsPeer, PeerEvent

SASL_HEADER = b"AMQP\x03\x01\x00\x00"
AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
AMQP_FRAME, SASL_FRAME = b"\x00", b"\x01"
FRAME_PAYLOAD_BYTES_MAX = 32 * 1024
BATCH_FORMAT = 0x80013700
LINK_CREDIT = 1000
WINDOW = 1 << 30


class Fault(enum.Enum):
    """What happens to one send."""

    LOSE = "the connection drops before the events are stored"
    FORGET_TO_CONFIRM = "the events are stored, and the connection drops before the confirmation"
    REJECT = "the broker refuses the events"


@dataclass
class Link:
    """A link as its client attached it. `partition` is None for requests, and for a sender to the whole hub."""

    handle: int
    address: str
    payload: bytearray = field(default_factory=bytearray)
    message_format: int = 0
    partition: int | None = None
    next_index: int = 0
    credit: int = 0
    delivery_count: int = 0

    @property
    def is_request(self) -> bool:
        return self.address in ("$cbs", "$management")


class Connection:
    """One client's connection: it answers frames in the order in which they come."""

    def __init__(self, peer: "EventHubsPeer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._peer = peer
        self._reader = reader
        self._writer = writer
        self._senders: dict[tuple[int, int], Link] = {}
        self._receivers: dict[tuple[int, int], Link] = {}
        self._delivery_ids: defaultdict[int, itertools.count[int]] = defaultdict(itertools.count)
        self._answers: dict[int, Callable[[int, list[Any]], None]] = {
            amqp.OpenFrame._code: self._on_open,
            amqp.BeginFrame._code: self._on_begin,
            amqp.AttachFrame._code: self._on_attach,
            amqp.FlowFrame._code: self._on_flow,
            amqp.DetachFrame._code: self._on_detach,
            amqp.EndFrame._code: self._on_end,
        }

    async def run(self) -> None:
        """Until the client closes, or a fault ends it."""
        await self._authenticate()
        while True:
            channel, code, fields = await self._receive()
            if code == amqp.CloseFrame._code:
                self._send(0, _full(amqp.CloseFrame))
                return
            if code == amqp.TransferFrame._code:
                if not await self._on_transfer(channel, fields):
                    return
            elif code in self._answers:
                self._answers[code](channel, fields)
            await self._writer.drain()

    async def _authenticate(self) -> None:
        assert await self._reader.readexactly(8) == SASL_HEADER
        self._writer.write(SASL_HEADER)
        self._send(0, _full(amqp.SASLMechanism, sasl_server_mechanisms=[b"ANONYMOUS"]), SASL_FRAME)
        await self._receive()
        self._send(0, _full(amqp.SASLOutcome, code=0, additional_data=b""), SASL_FRAME)
        assert await self._reader.readexactly(8) == AMQP_HEADER
        self._writer.write(AMQP_HEADER)

    async def _receive(self) -> tuple[int, int, list[Any]]:
        """Channel, descriptor and fields of the next frame that is not a heartbeat."""
        while True:
            header = await self._reader.readexactly(8)
            size, channel = int.from_bytes(header[:4], "big"), int.from_bytes(header[6:], "big")
            if size > 8:
                code, fields = decode_frame(memoryview(await self._reader.readexactly(size - 8)))
                return channel, code, fields

    def _send(self, channel: int, performative: Any, frame_type: bytes = AMQP_FRAME) -> None:
        header, body = encode_frame(performative, frame_type)
        assert body is not None
        self._writer.write(header + channel.to_bytes(2, "big") + body)

    def _on_open(self, channel: int, _: list[Any]) -> None:
        self._send(channel, _full(amqp.OpenFrame, container_id="peer", max_frame_size=65536, channel_max=100))

    def _on_begin(self, channel: int, _: list[Any]) -> None:
        self._send(
            channel,
            _full(
                amqp.BeginFrame,
                remote_channel=channel,
                next_outgoing_id=0,
                incoming_window=WINDOW,
                outgoing_window=WINDOW,
                handle_max=255,
            ),
        )

    def _on_attach(self, channel: int, fields: list[Any]) -> None:
        attach = amqp.AttachFrame(*fields)
        client_receives = bool(attach.role)
        answer = attach._replace(
            role=not client_receives,
            initial_delivery_count=0 if client_receives else None,
            max_message_size=self._peer.message_bytes_max,
            source=_terminus(attach.source),
            target=_terminus(attach.target),
            desired_capabilities=None,
            properties=None,
        )
        self._send(channel, answer)
        if client_receives:
            self._receivers[channel, attach.handle] = self._receiver(attach)
        else:
            self._senders[channel, attach.handle] = self._sender(attach)
            self._grant(channel, attach.handle, delivery_count=0)

    def _sender(self, attach: Any) -> Link:
        link = Link(attach.handle, attach.target[0].decode())
        if found := re.search(r"/Partitions/(\d+)$", link.address):
            link.partition = int(found[1])
        self._peer.senders_attached += not link.is_request
        return link

    def _receiver(self, attach: Any) -> Link:
        link = Link(attach.handle, attach.source[0].decode())
        if found := re.search(r"/ConsumerGroups/[^/]+/Partitions/(\d+)$", link.address):
            link.partition = int(found[1])
            selector = attach.source[7][b"apache.org:selector-filter:string"].decode()
            position = re.fullmatch(r"amqp\.annotation\.x-opt-offset > '(-?\d+)'", selector)
            assert position is not None, f"the peer does not know the selector {selector}"
            link.next_index = sum(stored.offset <= int(position[1]) for stored in self._peer.logs[link.partition])
        return link

    def _grant(self, channel: int, handle: int, delivery_count: int) -> None:
        flow = _full(
            amqp.FlowFrame,
            next_incoming_id=None,
            incoming_window=WINDOW,
            next_outgoing_id=0,
            outgoing_window=WINDOW,
            handle=handle,
            delivery_count=delivery_count,
            link_credit=LINK_CREDIT,
        )
        self._send(channel, flow)

    def _on_flow(self, channel: int, fields: list[Any]) -> None:
        flow = amqp.FlowFrame(*fields)
        if link := self._receivers.get((channel, flow.handle)):
            link.credit = flow.link_credit
            self.deliver()

    def _on_detach(self, channel: int, fields: list[Any]) -> None:
        handle = fields[0]
        self._senders.pop((channel, handle), None)
        self._receivers.pop((channel, handle), None)
        self._send(channel, _full(amqp.DetachFrame, handle=handle, closed=True))

    def _on_end(self, channel: int, _: list[Any]) -> None:
        for links in (self._senders, self._receivers):
            for key in [key for key in links if key[0] == channel]:
                del links[key]
        self._send(channel, _full(amqp.EndFrame))

    async def _on_transfer(self, channel: int, fields: list[Any]) -> bool:
        """Take one frame of a message; False when the connection is to drop."""
        transfer = amqp.TransferFrame(*fields)
        link = self._senders[channel, transfer.handle]
        link.payload += transfer.payload
        if transfer.message_format is not None:
            link.message_format = transfer.message_format
        if transfer.more:
            return True
        message, link.payload = decode_payload(memoryview(bytes(link.payload))), bytearray()
        link.delivery_count += 1
        if link.is_request:
            self._settle(channel, transfer.delivery_id, Accepted())
            self._answer_request(channel, link.address, message)
            return True
        return await self._take_events(channel, link, transfer.delivery_id, message)

    async def _take_events(self, channel: int, link: Link, delivery_id: int, message: Message) -> bool:
        """False when a fault drops the connection."""
        fault = await self._peer.arrive()
        if fault is Fault.LOSE:
            return False
        if fault is Fault.REJECT:
            error = AMQPError(condition=b"amqp:resource-limit-exceeded", description="refused by the test", info=None)
            self._settle(channel, delivery_id, Rejected(error=error))
            return True
        is_batch = link.message_format == BATCH_FORMAT
        messages = [decode_payload(memoryview(part)) for part in message.data] if is_batch else [message]
        key = (message.message_annotations or {}).get(b"x-opt-partition-key")
        self._peer.store(link.partition, key, messages)
        if fault is Fault.FORGET_TO_CONFIRM:
            return False
        self._peer.sends.append(len(messages))
        self._settle(channel, delivery_id, Accepted())
        self._grant(channel, link.handle, link.delivery_count)
        return True

    def _settle(self, channel: int, delivery_id: int, outcome: Accepted | Rejected) -> None:
        self._send(channel, _full(amqp.DispositionFrame, role=True, first=delivery_id, settled=True, state=outcome))

    def _answer_request(self, channel: int, node: str, request: Message) -> None:
        status = {b"status-code": 202 if node == "$cbs" else 200, b"status-description": "OK"}
        answer = Message(
            properties=Properties(correlation_id=request.properties.message_id),
            application_properties=status,
            value=None if node == "$cbs" else self._describe(request.application_properties),
        )
        link = next(link for (on, _), link in self._receivers.items() if on == channel and link.address == node)
        self._transfer(channel, link, answer)

    def _describe(self, request: dict[bytes, Any]) -> dict[str, Any]:
        """The hub's properties, or a partition's."""
        if request[b"type"] == b"com.microsoft:eventhub":
            partitions = [str(number) for number in range(len(self._peer.logs))]
            return {"name": self._peer.name, "created_at": _timestamp(0), "partition_ids": partitions}
        assert request[b"type"] == b"com.microsoft:partition"
        number = int(request[b"partition"])
        log, first = self._peer.logs[number], self._peer.first_kept[number]
        return {
            "name": self._peer.name,
            "partition": request[b"partition"].decode(),
            "begin_sequence_number": _long(first),
            "last_enqueued_sequence_number": _long(len(log) - 1),
            "last_enqueued_offset": str(log[-1].offset if log else -1),
            "last_enqueued_time_utc": _timestamp(log[-1].enqueued_ms if log else 0),
            "is_partition_empty": first == len(log),
        }

    def deliver(self) -> None:
        """Send what this connection's receivers have credit for."""
        for (channel, _), link in self._receivers.items():
            if link.partition is None:
                continue
            log = self._peer.logs[link.partition]
            while link.credit > 0 and link.next_index < len(log):
                self._transfer(channel, link, _as_message(link.next_index, log[link.next_index]))
                link.next_index += 1

    def _transfer(self, channel: int, link: Link, message: Message) -> None:
        payload = bytearray()
        encode_payload(payload, message)
        delivery_id = next(self._delivery_ids[channel])
        for start in range(0, len(payload), FRAME_PAYLOAD_BYTES_MAX):
            end = start + FRAME_PAYLOAD_BYTES_MAX
            frame = _full(
                amqp.TransferFrame,
                handle=link.handle,
                delivery_id=delivery_id,
                delivery_tag=delivery_id.to_bytes(4, "big"),
                message_format=0,
                settled=False,
                more=end < len(payload),
                payload=bytes(payload[start:end]),
            )
            self._send(channel, frame)
        link.credit -= 1


def _full(performative: Any, **fields: Any) -> Any:
    """A performative with every field: the SDK fails on a list that is cut short."""
    return performative(**dict.fromkeys(performative._fields) | fields)


def _terminus(fields: list[Any]) -> Any:
    """A link's source or target back to its client: the address is all that the client looks at."""
    return Source(address=fields[0])


def _as_message(sequence_number: int, stored: "PeerEvent") -> Message:
    annotations: dict[bytes, Any] = {
        b"x-opt-sequence-number": _long(sequence_number),
        b"x-opt-offset": str(stored.offset),
        b"x-opt-enqueued-time": _timestamp(stored.enqueued_ms),
    }
    if stored.key is not None:
        annotations[b"x-opt-partition-key"] = stored.key.decode()
    return stored.message._replace(message_annotations=annotations)


def _long(number: int) -> dict[str, Any]:
    return {TYPE: AMQPTypes.long, VALUE: number}


def _timestamp(milliseconds: int) -> dict[str, Any]:
    return {TYPE: AMQPTypes.timestamp, VALUE: milliseconds}
