"""Who reports leaked keys, on loopback: a list of public keys over real HTTP, and real signatures.

`with LeakReporter() as reporter:`; `reporter.sign(body)` gives the headers of a report. What the list says can be
changed while it runs.
"""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PATH = "/meta/public_keys/secret_scanning"


class LeakReporter:
    """`fetches` counts requests for the list; `status` and `listed` are what it answers."""

    def __init__(self) -> None:
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        self.fetches = 0
        self.status = 200
        self.listed: Any = None
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}{PATH}"

    def add(self, name: str) -> None:
        self.keys[name] = ec.generate_private_key(ec.SECP256R1())

    def sign(self, body: bytes, name: str = "one", key: ec.EllipticCurvePrivateKey | None = None) -> dict[str, str]:
        signature = (key or self.keys[name]).sign(body, ec.ECDSA(SHA256()))
        return {
            "Github-Public-Key-Identifier": name,
            "Github-Public-Key-Signature": base64.b64encode(signature).decode(),
            "Content-Type": "application/json",
        }

    def __enter__(self) -> Self:
        self.add("one")
        reporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reporter.fetches += 1
                body = json.dumps(reporter._list() if reporter.listed is None else reporter.listed).encode()
                self.send_response(reporter.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Tests read `fetches`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    def _list(self) -> dict[str, Any]:
        return {
            "public_keys": [
                {
                    "key_identifier": name,
                    "key": key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
                    "is_current": True,
                }
                for name, key in self.keys.items()
            ]
        }
