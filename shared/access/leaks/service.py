"""Leak reports: API keys that somebody found in public, as GitHub's secret scanning tells of them.

What is done with a real key is the platform's setting `leaked_key_action`: it is revoked, or its owner is only told. A
secret that was rotated away and still works for a while ends at once, and the key stays. A report that comes again
changes nothing more and sends no second mail.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from shared.access.keys.format import is_well_formed
from shared.access.keys.mails import KeyMails
from shared.access.keys.secrets import KeySecrets, remove_hash_task
from shared.access.keys.service import REVOKED
from shared.access.keys.writer import KeyWriter
from shared.access.leaks.reporter_keys import ReporterKeys
from shared.access.models import ApiKey
from shared.access.store import AccessStore, key_document
from shared.audit.models import Actor
from shared.audit.platform import PlatformSettingsStore
from shared.kernel.clock import utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import Problem
from shared.kernel.http.problems import not_found
from shared.kernel.retries import retry_on_conflict

REPORT_BYTES_MAX = 1024 * 1024
TOKENS_MAX = 100
URL_CHARACTERS_MAX = 500
Label = Literal["true_positive", "false_positive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedSecret:
    """A string that looks like a key, and where it was."""

    token: str
    type: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one string that was reported: `token_hash` is its SHA-256 in hexadecimal digits, since the string
    itself is not said again."""

    token_hash: str
    token_type: str
    label: Label


class LeakReports:
    """Takes reports of keys that were found in public. `keys` verifies who sends them; with None nobody may report
    anything."""

    def __init__(
        self,
        store: AccessStore,
        secrets: KeySecrets,
        writer: KeyWriter,
        settings: PlatformSettingsStore,
        mails: KeyMails,
        keys: ReporterKeys | None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._writer = writer
        self._settings = settings
        self._mails = mails
        self._keys = keys
        self._now = now

    async def check(self, identifier: str | None, signature: str | None, body: bytes) -> None:
        """Check that a report is signed by the reporter. Raises Problem 404 where there are no reports, 401
        `signature_invalid`; ReporterKeysUnavailable."""
        if self._keys is None:
            raise not_found()
        if not identifier or not signature or not await self._keys.verify(identifier, signature, body):
            raise Problem(401, "signature_invalid", "The report is not signed with a key that is known.")

    async def take(self, request_id: str, found: Sequence[LeakedSecret]) -> list[Verdict]:
        """Act on a report; returns one verdict for each string, in order. Raises Unavailable; then the report is to be
        sent again."""
        return [await self._judge(Actor("leak-report", "system", request_id), each) for each in found]

    async def _judge(self, actor: Actor, found: LeakedSecret) -> Verdict:
        real = is_well_formed(found.token) and await retry_on_conflict(lambda: self._act(actor, found))
        label: Label = "true_positive" if real else "false_positive"
        return Verdict(token_hash=sha256(found.token.encode()).hexdigest(), token_type=found.type, label=label)

    async def _act(self, actor: Actor, found: LeakedSecret) -> bool:
        """Whether it is a secret of ours that works, or would if its key were not stopped."""
        for candidate in (await self._secrets.hasher()).candidates(found.token):
            owner = await self._store.key_owner(candidate)
            if owner is None:
                continue
            stored = await self._store.find(ApiKey, owner.consumer_id, key_document(owner.key_id))
            if stored is None:
                continue
            if stored.value.hash == candidate:
                await self._end(actor, stored, found)
                return True
            if stored.value.previous_hash == candidate and stored.value.previous_works(self._now()):
                await self._end_previous(actor, stored, found)
                return True
        return False

    async def _end(self, actor: Actor, stored: Stored[ApiKey], found: LeakedSecret) -> None:
        key = stored.value
        revokes = (await self._settings.current()).leaked_key_action == "revoke"
        if key.status == "revoked" or (key.leaked_at is not None and not revokes):
            return
        found_at = _one_line_url(found.url)
        if not revokes:
            text = f"It was found in public ({found_at}). Whoever has it can use it: rotate it without an overlap."
            await self._write(actor, "key.report_leak", stored, {"leaked_at": self._now()}, found_at, text)
            return
        update = {**REVOKED, "leaked_at": self._now(), "reason": f"found in public: {found_at}"}
        text = (
            f"It was found in public ({found_at}) and is revoked. Make a new key, and keep it out of what is published."
        )
        await self._write(actor, "key.revoke", stored, update, found_at, text)

    async def _end_previous(self, actor: Actor, stored: Stored[ApiKey], found: LeakedSecret) -> None:
        if stored.value.status == "revoked":
            return
        found_at, update = _one_line_url(found.url), {"previous_hash": None, "previous_until": None}
        text = f"Its secret before the last rotation was found in public ({found_at}), and works no longer."
        await self._write(actor, "key.end_previous", stored, update, found_at, text)

    async def _write(
        self, actor: Actor, action: str, stored: Stored[ApiKey], update: dict[str, Any], found_at: str, text: str
    ) -> None:
        mails = await self._mails.about(stored.value, "API key found in public", text)
        ended = stored.value.previous_hash if "previous_hash" in update else None
        tasks = [*mails, *([] if ended is None else [remove_hash_task(ended)])]
        after = stored.value.model_copy(update=update)
        await self._writer.write(actor, action, stored, after, reason=f"found in public: {found_at}", tasks=tasks)


def _one_line_url(url: str) -> str:
    """The URL as it may stand in a mail: on one line, and not without end."""
    return " ".join(url.split())[:URL_CHARACTERS_MAX] or "no address given"
