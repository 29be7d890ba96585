"""A process that puts blobs until it is killed.

Run `python -m tests.support.platform.blobs_writer files ROOT` or `… azure CONNECTION_STRING CONTAINER`. It
prints one line for each put that has returned, `NAME NUMBER`.
"""

import asyncio
import hashlib
import itertools
import sys
from pathlib import Path

from shared.platform.blobs import Blobs
from shared.platform.blobs.azure import AzureBlobs
from shared.platform.blobs.files import FileBlobs

WRITERS = 4
BODY_BYTES = 1 << 20


def body(name: str, number: int) -> bytes:
    """Bytes of which no part can be missing or come from another put unnoticed."""
    label = f"{name} {number}\n".encode()
    return label + hashlib.shake_256(label).digest(BODY_BYTES)


def is_whole(name: str, data: bytes) -> bool:
    return data == body(name, number_in(data))


def number_in(data: bytes) -> int:
    return int(data.split(b"\n", 1)[0].split(b" ")[1])


def open_blobs(kind: str, location: str, container: str = "") -> Blobs:
    return FileBlobs(Path(location)) if kind == "files" else AzureBlobs(container, connection_string=location)


async def write_for_ever(blobs: Blobs, writer: int) -> None:
    for number in itertools.count():
        for name, overwrite in ((f"many/{writer}/{number}", False), (f"same/{writer}", True)):
            await blobs.put(name, body(name, number), content_type="text/plain", overwrite=overwrite)
            print(name, number, flush=True)


async def main() -> None:
    blobs = open_blobs(*sys.argv[1:])
    await asyncio.gather(*(write_for_ever(blobs, writer) for writer in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main())
