"""`scripts/ams audit` on a real installation's store."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from shared.audit.log import AuditLog
from shared.audit.models import SYSTEM, Change, Entry
from shared.platform.documents.sqlite import SqliteDocuments
from tests.support.host.installation import Ams


@pytest.fixture
def installation(tmp_path: Path) -> Ams:
    """Not started: the commands work on its data."""
    ams = Ams(tmp_path / "data", AMS_SECRET_KEY_PEPPER_V1="pepper")
    asyncio.run(_fill(ams.data / "documents.db"))
    return ams


async def _fill(path: Path) -> None:
    documents = SqliteDocuments(path)
    log = AuditLog(documents)
    for number in range(20):
        change = Change(SYSTEM, "thing.change", f"thing:{number}")
        await log.append(Entry.of(change, f"2026-{10 + number // 10}-01T00:00:{number:02d}.000Z"))
    await documents.close()


def test_an_untouched_log_verifies(installation: Ams) -> None:
    done = installation.run("audit", "verify")
    assert (done.returncode, done.stdout) == (0, "20 entries, nothing altered, removed or added\n"), done.stderr


def test_a_changed_row_is_found(installation: Ams) -> None:
    with sqlite3.connect(installation.data / "documents.db") as database:
        database.execute("UPDATE audit SET body = replace(body, 'thing:7', 'thing:8') WHERE body LIKE '%thing:7%'")
    done = installation.run("audit", "verify")
    assert done.returncode == 1
    assert "2026-10: entry 8" in done.stderr
    assert "was altered" in done.stderr


def test_a_month_that_is_gone_is_found_with_an_anchor(installation: Ams, tmp_path: Path) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_text(installation.run("audit", "anchor").stdout)
    assert [head["entries"] for head in json.loads(anchor.read_text())] == [10, 10]
    with sqlite3.connect(installation.data / "documents.db") as database:
        database.execute("DELETE FROM audit WHERE partition = '2026-10' OR id = '2026-10'")
    assert installation.run("audit", "verify").returncode == 0, "nothing is left that could tell"
    done = installation.run("audit", "verify", "--anchor", str(anchor))
    assert done.returncode == 1
    assert "2026-10: entry 10 is not" in done.stderr


@pytest.mark.parametrize("content", ["", "[{}]", "no json"])
def test_an_anchor_that_is_none_is_refused(installation: Ams, tmp_path: Path, content: str) -> None:
    anchor = tmp_path / "anchor.json"
    anchor.write_text(content)
    assert installation.run("audit", "verify", "--anchor", str(anchor)).returncode == 2
