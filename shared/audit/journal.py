"""Every change of the management API goes through `Journal.commit`: nothing is half-done, nothing goes unlogged.

A transaction covers one partition. What else a change brings about (its audit entry, documents of other partitions, a
mail, a webhook) is written into the same transaction as **outbox** documents, one task each, and done right after it.
The order of durable steps: commit; do the task; delete its outbox document. A kill in between leaves the outbox
document, which `deliver_due` (a timer) finds when it is due and does again, so every handler is idempotent. Tasks are
tried until they succeed, with growing pauses; one that still fails after ATTEMPTS_MAX is kept and marked `dead`.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from shared.audit.models import Change, Entry
from shared.audit.tasks import AppendEntry, CreateDocument, RemoveDocument, Task
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import ChangeNotifier, StoredModel
from shared.kernel.errors import Problem, Unavailable
from shared.kernel.http.paging import read_pages
from shared.kernel.ids import new_id
from shared.kernel.telemetry import OUTBOX_DEAD, OUTBOX_RETRIES
from shared.platform.documents import (
    CONTAINERS,
    Container,
    Create,
    Delete,
    Document,
    DocumentExists,
    DocumentMissing,
    Documents,
    Operation,
    PreconditionFailed,
    Query,
    TransactionFailed,
    Where,
)

FIRST_DUE = timedelta(seconds=60)
"""Until then the process that committed does the task itself; later, anybody."""

LEASE = timedelta(minutes=5)
PAUSES_S = (5, 30, 120, 600, 1_800, 7_200, 18_000, 36_000, 86_400, 86_400)
ATTEMPTS_MAX = len(PAUSES_S) + 1
"""Over about 71 hours, as Standard Webhooks proposes for deliveries."""

TASKS_AT_ONCE_MAX = 16
OUTBOX = "outbox"
_logger = logging.getLogger(__name__)

T = TypeVar("T", bound=Task)

TaskHandler = Callable[[str, T], Awaitable[None]]
"""Gets the task's id, the same in every attempt, and the task. Raises to be tried again."""

_Do = Callable[[str, dict[str, Any]], Awaitable[None]]
"""A handler that reads its task from what is stored of it."""


class PermanentFailure(Exception):
    """Raised by a handler whose task can never succeed: it is marked dead at once."""


class _Outbox(StoredModel):
    outbox: str | None
    kind: str
    data: dict[str, Any]
    attempts: int = 0
    dead: str | None = None


class Journal(ChangeNotifier):
    """Commits changes together with the tasks that follow from them; one per process. `append` writes an audit entry,
    idempotently by its id."""

    def __init__(
        self, documents: Documents, append: Callable[[Entry], Awaitable[None]], now: Callable[[], datetime] = utc_now
    ) -> None:
        super().__init__()
        self._documents = documents
        self._append = append
        self._now = now
        self._handlers: dict[str, _Do] = {}
        self._inline: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self.on(AppendEntry, self._on_append, inline=True)
        self.on(CreateDocument, self._on_create, inline=True)
        self.on(RemoveDocument, self._on_remove, inline=True)

    def on(self, task: type[T], handler: TaskHandler[T], *, inline: bool = False) -> None:
        """Register the handler of a kind of task. An inline one is done before `commit` returns, the others in the
        background."""

        async def do(id: str, data: dict[str, Any]) -> None:
            await handler(id, task.model_validate(data))

        self._handlers[task.kind] = do
        if inline:
            self._inline.add(task.kind)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of tasks that have a handler."""
        return frozenset(self._handlers)

    async def commit(
        self,
        container: Container,
        partition: str,
        operations: Sequence[Operation],
        *changes: Change,
        tasks: Sequence[Task] = (),
    ) -> Sequence[str]:
        """Apply `operations`, log `changes`, see to `tasks`. Returns the ETags of the operations' documents.

        Raises Problem 409 `conflict` when a document was changed, created or deleted meanwhile; DocumentsUnavailable.
        Once the transaction is durable nothing raises any more: what remains is done from the outbox.
        """
        now = self._now()
        todo = [*(AppendEntry.of(change, format_time(now)) for change in changes), *tasks]
        written = [(f"{OUTBOX}:{new_id('job')}", _outbox(task, now), task.delay_s == 0) for task in todo]
        creates = [Create(task_id, outbox.to_json()) for task_id, outbox, _ in written]
        try:
            etags = await self._documents.transact(container, partition, [*operations, *creates])
        except TransactionFailed as failed:
            raise conflict() from failed
        self.changed()
        at_once = [(task_id, outbox) for task_id, outbox, is_due in written if is_due]
        await self._do_inline(container, partition, at_once)
        return etags[: len(operations)]

    async def _do_inline(self, container: Container, partition: str, written: Sequence[tuple[str, _Outbox]]) -> None:
        done = []
        for task_id, outbox in written:
            if outbox.kind in self._inline:
                try:
                    await self._handlers[outbox.kind](task_id, outbox.data)
                except Exception:  # the outbox has it
                    _logger.warning("task %s %s is left to the timer", outbox.kind, task_id, exc_info=True)
                else:
                    done.append(task_id)
        later = [(task_id, outbox) for task_id, outbox in written if outbox.kind not in self._inline]
        if done or later:
            self._spawn(self._finish(container, partition, done, later))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _finish(
        self, container: Container, partition: str, done: Sequence[str], later: Sequence[tuple[str, _Outbox]]
    ) -> None:
        """In the background: forget what is done, do what takes longer. Whatever fails here is left to the timer."""
        try:
            if done:
                await self._documents.transact(container, partition, [Delete(task_id) for task_id in done])
            for task_id, outbox in later:
                await self._attempt(container, partition, task_id, outbox, etag=None)
        except (Unavailable, TransactionFailed, DocumentMissing, PreconditionFailed):
            _logger.warning("the outbox of %s/%s is left to the timer", container.name, partition, exc_info=True)

    async def drain(self) -> None:
        """Wait for what this process does in the background."""
        while self._background:
            await asyncio.wait(self._background)

    async def deliver_due(self) -> int:
        """Do every task of every container that is due. Returns how many were done. Safe to run concurrently: a task
        is leased before it is done."""
        done = 0
        for container in CONTAINERS.values():
            if OUTBOX in container.across:
                done += await self._deliver_container(container)
        return done

    async def _deliver_container(self, container: Container) -> int:
        done = 0
        # Across tenants: the platform's own outbox.
        query = Query(None, (Where(OUTBOX, "<=", format_time(self._now())),), order_by=OUTBOX)
        async for page in read_pages(partial(self._documents.query, container, query)):
            for start in range(0, len(page.items), TASKS_AT_ONCE_MAX):
                group = page.items[start : start + TASKS_AT_ONCE_MAX]
                done += sum(await asyncio.gather(*(self._deliver(container, document) for document in group)))
        return done

    async def _deliver(self, container: Container, document: Document) -> bool:
        outbox = _Outbox.model_validate_json(document.body)
        leased = outbox.model_copy(update={"outbox": format_time(self._now() + LEASE)})
        try:
            etag = await self._documents.replace(
                container, document.partition, document.id, leased.to_json(), etag=document.etag
            )
            OUTBOX_RETRIES.inc()
            return await self._attempt(container, document.partition, document.id, outbox, etag=etag)
        except (DocumentMissing, PreconditionFailed):
            return False  # somebody else has it

    async def _attempt(
        self, container: Container, partition: str, id: str, outbox: _Outbox, *, etag: str | None
    ) -> bool:
        """Do one task; delete its document, or put it off."""
        try:
            handler = self._handlers.get(outbox.kind)
            if handler is None:
                raise LookupError(f"there is no handler for {outbox.kind}")
            await handler(id, outbox.data)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task is tried again
            _logger.warning("task %s %s failed: %s", outbox.kind, id, error)
            after = self._put_off(outbox, error)
            await self._documents.replace(container, partition, id, after.to_json(), etag=etag)
            return False
        await self._documents.delete(container, partition, id)
        return True

    def _put_off(self, outbox: _Outbox, error: Exception) -> _Outbox:
        attempts = outbox.attempts + 1
        if attempts >= ATTEMPTS_MAX or isinstance(error, PermanentFailure):
            OUTBOX_DEAD.inc()
            _logger.error("task %s is given up: %s", outbox.kind, error)
            return outbox.model_copy(update={"outbox": None, "attempts": attempts, "dead": str(error)[:1000]})
        due = self._now() + timedelta(seconds=PAUSES_S[attempts - 1])
        return outbox.model_copy(update={"outbox": format_time(due), "attempts": attempts})

    async def _on_append(self, id: str, task: AppendEntry) -> None:
        await self._append(Entry.model_validate(task.stored()))

    async def _on_create(self, id: str, task: CreateDocument) -> None:
        with contextlib.suppress(DocumentExists):
            await self._documents.create(task.where, task.partition, task.id, task.body.encode())
        self.changed()

    async def _on_remove(self, id: str, task: RemoveDocument) -> None:
        with contextlib.suppress(DocumentMissing):
            await self._documents.delete(task.where, task.partition, task.id)
        self.changed()


def _outbox(task: Task, now: datetime) -> _Outbox:
    due = now + (timedelta(seconds=task.delay_s) if task.delay_s else FIRST_DUE)
    return _Outbox(outbox=format_time(due), kind=task.kind, data=task.stored())


def conflict() -> Problem:
    return Problem(409, "conflict", "It was changed by somebody else at the same time. Read it again, then repeat.")
