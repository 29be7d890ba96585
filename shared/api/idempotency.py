"""`Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07) on every POST of a signed-in account.

The first request with a key is done and its answer kept for 24 hours; a repetition gets the same answer without being
done again. Scope is the account; the same key with another method, path or body is a 422, one whose first request is
still being done a 409. Answers below 500 are kept, refusals too. What is kept is encrypted under a key made from the
caller's own Idempotency-Key, which is not stored: an answer may hold an API key that is shown only once.

Order: the key is reserved (`create`, so one of two wins), the request is done, the answer is stored. A process that is
killed in between leaves a reservation, which may be taken over after RESERVED_S: then the request is done again, and
meets whatever the first one had committed.
"""

import base64
import contextlib
import hmac
import json
import logging
import os
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from http import HTTPStatus

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import AwareDatetime
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.api.answers import problem_response
from shared.audit.parts import AuditParts
from shared.identity.parts import IdentityParts
from shared.identity.permissions import PUBLIC_ROUTES
from shared.kernel.documents import StoredModel
from shared.kernel.errors import FieldError, Problem, Unavailable
from shared.kernel.http.problems import unavailable
from shared.kernel.http.provided import PartsApi, api_of
from shared.platform.documents import CONTAINERS, DocumentExists, DocumentMissing, PreconditionFailed

IDEMPOTENCY = CONTAINERS["idempotency"]
HEADER = "idempotency-key"
KEPT_S = 24 * 3600
RESERVED_S = 60
KEY_CHARACTERS_MAX = 255
ANSWER_BYTES_MAX = 1024 * 1024
_NONCE_BYTES = 12
_KEPT_HEADERS = (b"content-type", b"etag", b"location")
_logger = logging.getLogger(__name__)


class _StoredAnswer(StoredModel):
    """`request` is a hash of method, path and body. `answer` is there once the request was done."""

    request: str
    reserved_until: AwareDatetime
    answer: str | None = None


@dataclass(slots=True)
class _Answer:
    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    def note(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        elif message["type"] == "http.response.body":
            self.body += message.get("body", b"")

    def to_json(self) -> bytes:
        kept = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in self.headers if n.lower() in _KEPT_HEADERS]
        return json.dumps([self.status, kept, base64.b64encode(bytes(self.body)).decode()]).encode()


class Idempotency:
    """Does a request that is repeated with the same Idempotency-Key once: a middleware inside `Edge`. Without the
    header the request passes untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" and scope["method"] == "POST" else Headers()
        key = headers.get(HEADER)
        # Nobody is signed in: the guard will say so. On a public route an Authorization is not an account's.
        if key is None or "authorization" not in headers or f"POST {scope['path']}" in PUBLIC_ROUTES:
            await self._app(scope, receive, send)
            return
        try:
            await self._once(key, scope, receive, send)
        except Problem as problem:
            await problem_response(problem, scope["state"]["request_id"])(scope, receive, send)
        except Unavailable:
            await problem_response(unavailable(), scope["state"]["request_id"])(scope, receive, send)

    async def _once(self, key: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not 1 <= len(key) <= KEY_CHARACTERS_MAX:
            rule = f"must have 1 to {KEY_CHARACTERS_MAX} characters"
            raise Problem(400, "request_invalid", f"`Idempotency-Key` {rule}.", errors=(FieldError(HEADER, rule),))
        api = api_of(scope)
        signed = await api.of(IdentityParts).authority.authenticate(Headers(scope=scope))
        body = await _read(receive)
        request_hash = sha256(b"\0".join((scope["path"].encode(), scope["query_string"], body))).hexdigest()
        account = signed.account.id
        document_id = sha256(f"{account}\0{key}".encode()).hexdigest()
        reserved = await _reserve(api, account, document_id, request_hash)
        if isinstance(reserved, _StoredAnswer):
            await _replay(_decrypt(reserved, account, key), send)
            return
        answer = _Answer()

        async def tee(message: Message) -> None:
            answer.note(message)
            await send(message)

        await self._app(scope, _replayed_body(body), tee)
        await _store_answer(api, account, document_id, request_hash, key, answer, reserved)


async def _reserve(api: PartsApi, account: str, id: str, request_hash: str) -> "_StoredAnswer | str":
    """The answer that is there, or the ETag of our reservation. Raises Problem 409, 422."""
    now = api.now()
    reservation = _StoredAnswer(request=request_hash, reserved_until=now + timedelta(seconds=RESERVED_S))
    documents = api.of(AuditParts).documents
    with contextlib.suppress(DocumentExists):
        return await documents.create(IDEMPOTENCY, account, id, reservation.to_json(), ttl_s=KEPT_S)
    document = await documents.get(IDEMPOTENCY, account, id)
    if document is None:
        raise _in_flight()
    kept = _StoredAnswer.model_validate_json(document.body)
    if kept.request != request_hash:
        detail = "This Idempotency-Key was used for another request. Use a new one for each."
        raise Problem(422, "idempotency_key_reused", detail)
    if kept.answer is not None:
        return kept
    if kept.reserved_until > now:
        raise _in_flight()
    try:
        return await documents.replace(
            IDEMPOTENCY, account, id, reservation.to_json(), etag=document.etag, ttl_s=KEPT_S
        )
    except (DocumentMissing, PreconditionFailed):
        raise _in_flight() from None


async def _store_answer(
    api: PartsApi, account: str, id: str, request_hash: str, key: str, answer: _Answer, etag: str
) -> None:
    """Answers of 500 and above are not kept: the request may be tried again."""
    documents = api.of(AuditParts).documents
    try:
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or len(answer.body) > ANSWER_BYTES_MAX:
            await documents.delete(IDEMPOTENCY, account, id, etag=etag)
            return
        kept = _StoredAnswer(
            request=request_hash, reserved_until=api.now(), answer=_encrypt(answer.to_json(), account, key)
        )
        await documents.replace(IDEMPOTENCY, account, id, kept.to_json(), etag=etag, ttl_s=KEPT_S)
    except (DocumentMissing, PreconditionFailed, Unavailable) as error:  # the answer is out already
        _logger.warning("the answer to an Idempotency-Key was not kept: %s", error)


def _in_flight() -> Problem:
    detail = "The first request with this Idempotency-Key is still being done. Try again in a moment."
    return Problem(409, "idempotency_key_in_use", detail, headers={"Retry-After": "1"})


def _cipher(account: str, key: str) -> AESGCM:
    return AESGCM(hmac.digest(key.encode(), b"ams.idempotency.v1:" + account.encode(), "sha256"))


def _encrypt(plain: bytes, account: str, key: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return base64.b64encode(nonce + _cipher(account, key).encrypt(nonce, plain, None)).decode()


def _decrypt(kept: _StoredAnswer, account: str, key: str) -> _Answer:
    data = base64.b64decode(kept.answer or "")
    plain = _cipher(account, key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
    status, headers, body = json.loads(plain)
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return _Answer(status, pairs, bytearray(base64.b64decode(body)))


async def _replay(answer: _Answer, send: Send) -> None:
    headers = [*answer.headers, (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": bytes(answer.body)})


async def _read(receive: Receive) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


def _replayed_body(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
