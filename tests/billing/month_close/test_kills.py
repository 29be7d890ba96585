"""The close, killed at each of its writes, before and after it took effect: what the next process finishes is the same,
byte for byte, as if nothing had happened."""

import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.billing.invoices.credit import Credit
from shared.billing.invoices.models import CreditUse
from shared.billing.invoices.store import credit_document
from shared.billing.month_close import run as close_run
from shared.billing.store import BILLING
from shared.platform.documents import Documents, Query
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.billing.books import AFTER_MARCH, Books, open_books
from tests.support.clock import Clock
from tests.support.embedded import IN_MEMORY

CONSUMERS = 30
POINTS = 50
_WRITES = ("transact", "replace", "create", "upsert", "delete")


class Killed(BaseException):
    """The process is gone: nothing that handles errors handles this."""


class DyingDocuments:
    """The real store, until the n-th write: that one is lost, or done without an answer."""

    def __init__(self, documents: Documents, write: int, *, done: bool) -> None:
        self._documents = documents
        self._left = write
        self._done = done
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._documents, name)
        if name not in _WRITES:
            return method

        async def write(*args: Any, **options: Any) -> Any:
            if self._left == 0:
                if self._done:
                    await method(*args, **options)
                self._left = -1
            if self._left < 0:
                raise Killed
            self._left -= 1
            self.writes += 1
            return await method(*args, **options)

        return write


@pytest.fixture(scope="module")
def small_steps() -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(close_run, "AT_ONCE", 3)
    patch.setattr(close_run, "GROUPS_PER_SAVE", 2)
    yield
    patch.undo()


@pytest.fixture
async def folder(tmp_path_factory: pytest.TempPathFactory, small_steps: None) -> AsyncIterator[Path]:
    """A month that is to be closed; copied for each kill."""
    path = Path(IN_MEMORY or tmp_path_factory.mktemp("x")) / tmp_path_factory.mktemp("closing").name
    path.mkdir()
    books = await open_books(path)
    for number in range(2, CONSUMERS):
        await books.subscribe(f"con_{number}")
        await books.use(number, consumer_id=f"con_{number}")
    credit = Credit(consumer_id="con_9", currency="EUR", left=(CreditUse(note_number="N1", amount="0.05"),))
    await books.documents.create(BILLING, "mer_1", credit_document("con_9", "EUR"), credit.to_json())
    await books.journal.drain()
    await books.embedded.close()
    yield path
    shutil.rmtree(path)


async def _finish(books: Books, documents: SqliteDocuments) -> dict[str, bytes]:
    """Close to the end, and all that is there then; what waits in the outbox has names made up by chance."""
    assert await books.closer.run() <= 1
    await books.journal.drain()
    page = await documents.query(BILLING, Query("mer_1", (), order_by="id", limit=1000))
    return {found.id: found.body for found in page.items if not found.id.startswith("outbox")}


def _books(documents: Any) -> Books:
    return Books(None, documents, Clock(AFTER_MARCH))  # type: ignore[arg-type]  # no market is needed to close


async def test_killed_at_any_write_it_ends_the_same(folder: Path) -> None:
    async def closed(copy: Path, write: int, *, done: bool) -> tuple[dict[str, bytes], int]:
        shutil.copytree(folder, copy)
        documents = SqliteDocuments(copy / "documents.db")
        dying = DyingDocuments(documents, write, done=done)
        books = _books(dying)
        with contextlib.suppress(Killed):
            await books.closer.run()
        await books.journal.drain()
        ended = await _finish(_books(documents), documents)
        await documents.close()
        shutil.rmtree(copy)
        return ended, dying.writes

    expected, writes = await closed(folder.parent / f"{folder.name}-whole", 10**9, done=True)
    assert len([name for name in expected if name.startswith("inv:")]) == CONSUMERS - 2
    assert writes >= POINTS // 2
    for write in range(POINTS // 2):
        for done in (False, True):
            ended, _ = await closed(folder.parent / f"{folder.name}-{write}-{done}", write, done=done)
            assert ended == expected, f"killed at write {write}, which was {'done' if done else 'lost'}"
