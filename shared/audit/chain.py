"""The hash chain of the audit log: an entry that is altered, removed or put in between is found.

Every calendar month (UTC, by the entry's time) is a chain: entry n carries the hash of entry n-1, the first one that of
the month's name. `hash` is SHA-256 over the canonical JSON (sorted keys, no white space, UTF-8) of all other fields.
What a chain cannot know by itself is that its end was cut off: for that, `ChainHead`s are kept elsewhere
(`scripts/ams audit anchor`).
"""

import json
from collections.abc import AsyncIterable
from hashlib import sha256

from shared.audit.models import Entry
from shared.kernel.documents import StoredModel


class ChainHead(StoredModel):
    """The end of a month's chain: how many entries there are, and the hash of the last."""

    month: str
    entries: int
    hash: str


def first(month: str) -> ChainHead:
    """Make the head of an empty chain. `month` is `YYYY-MM`."""
    return ChainHead(month=month, entries=0, hash=sha256(f"ams.audit.v1:{month}".encode()).hexdigest())


def entry_hash(entry: Entry) -> str:
    fields = entry.model_dump(mode="json", exclude={"hash"})
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return sha256(canonical.encode()).hexdigest()


def link(head: ChainHead, entry: Entry) -> Entry:
    """Make `entry` the next one after `head`."""
    linked = entry.model_copy(update={"seq": head.entries + 1, "previous": head.hash})
    return linked.model_copy(update={"hash": entry_hash(linked)})


def head_of(month: str, entry: Entry) -> ChainHead:
    return ChainHead(month=month, entries=entry.seq, hash=entry.hash)


async def verify_chain(
    month: str, entries: AsyncIterable[Entry], head: ChainHead, anchor: ChainHead | None = None
) -> list[str]:
    """List what is wrong with a chain, in order; an empty list when nothing is. `head` is what the log says its end is,
    `anchor` a head that was kept elsewhere earlier."""
    faults, last = [], first(month)
    anchored = anchor is None or anchor == last
    async for entry in entries:
        if entry.seq != last.entries + 1:
            faults.append(f"{month}: after entry {last.entries} comes {entry.seq}: {_missing(last.entries, entry.seq)}")
        elif entry.previous != last.hash:
            faults.append(f"{month}: entry {entry.seq} ({entry.id}) does not follow from the one before it")
        if entry.hash != entry_hash(entry):
            faults.append(f"{month}: entry {entry.seq} ({entry.id}) was altered")
        last = head_of(month, entry)
        anchored = anchored or last == anchor
    if last != head:
        faults.append(
            f"{month}: the log says that it ends with entry {head.entries}, but the last one there is {last.entries}"
        )
    if not anchored and anchor is not None:
        faults.append(f"{month}: entry {anchor.entries} is not, or not any more, what was anchored")
    return faults


def _missing(before: int, after: int) -> str:
    return "entries are missing" if after > before else "an entry was added"
