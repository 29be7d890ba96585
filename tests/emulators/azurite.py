"""Azurite, Microsoft's emulator of Azure Blob Storage, as a child process on a free loopback port."""

import re
import selectors
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parent
PROGRAM = FOLDER / "node_modules" / ".bin" / "azurite-blob"
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 10

# Published by Microsoft for every emulator; it opens nothing but this process on loopback.
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@contextmanager
def run_azurite() -> Iterator[str]:
    """Start Azurite, wait until it listens, yield its connection string, and end it. Nothing is kept on disk."""
    if not PROGRAM.exists():
        raise RuntimeError("Azurite is missing: run `npm ci --prefix tests/emulators`")
    command = [str(PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", "0"]
    options = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
    try:
        yield connection_string(_wait_for_port(process))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def connection_string(port: int) -> str:
    """What `BlobServiceClient.from_connection_string` takes."""
    return (
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )


def _wait_for_port(process: subprocess.Popen[bytes]) -> int:
    """Azurite chose the port itself, so nobody can take it in between; it prints it once it listens."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS_MAX
    printed = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(0.0, deadline - time.monotonic())):
            chunk = process.stdout.read(65536)
            printed += chunk
            if found := re.search(rb"successfully listens on http://127\.0\.0\.1:(\d+)", printed):
                return int(found[1])
            if not chunk:
                break
    raise RuntimeError(f"Azurite did not start within {START_SECONDS_MAX} s; it said:\n{printed.decode()}")
