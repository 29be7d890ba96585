"""The report of a chaos run: JSON for machines, a table for people."""

import json
import os
import platform
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime

from tests.support.chaos.faults import Faults
from tests.support.chaos.ledger import Ledger
from tests.support.chaos.verify import StoredUsage, Verdict

SHOWN_MAX = 20


@dataclass(frozen=True)
class Report:
    """Numbers are of events unless they say otherwise; a forwarded call is one event for each attempt."""

    seed: int
    started_at: str
    machine: str
    faults_s: float
    total_s: float
    reported: int
    reported_acknowledged: int
    report_requests: int
    retried: int
    duplicated: int
    call_attempts: int
    calls_acknowledged: int
    sent: int
    acknowledged: int
    counted: int
    counted_unacknowledged: int
    published: int
    lost: int
    double: int
    wrong: list[str]
    faults: dict[str, int]
    host_starts: int
    answers: dict[str, int]
    spool_disk: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    def to_markdown(self) -> str:
        rows = {
            "sent": f"{self.sent:,} ({self.reported:,} usage reports, {self.call_attempts:,} attempts to call)",
            "acknowledged": f"{self.acknowledged:,}",
            "retried": f"{self.retried:,} sends of an event that was not acknowledged before",
            "duplicated": f"{self.duplicated:,} sends, on purpose, of an event that was acknowledged, or in one batch",
            "on the stream": f"{self.published:,}",
            "counted": f"{self.counted:,}, of which {self.counted_unacknowledged:,} not acknowledged",
            "**lost**": f"**{self.lost:,}**",
            "**double**": f"**{self.double:,}**",
            "wrong otherwise": f"{max(0, len(self.wrong) - self.lost - self.double):,}",
        }
        return "\n".join(
            [
                "# Chaos",
                "",
                f"{self.started_at}, {self.machine}. Seed {self.seed} (`--chaos-seed`);"
                f" {self.faults_s:.0f} s under fire, {self.total_s:.0f} s in all.",
                "",
                *_table(("Events", ""), rows),
                "",
                *_table(("Fault", "Times"), {**self.faults, "host started": self.host_starts}),
                *([] if self.spool_disk == "mounted" else ["", f"No disk to fill for the spool: {self.spool_disk}."]),
                "",
                *_table(("Request ended", "Times"), self.answers),
                "",
            ]
        )

    def complaint(self) -> str:
        """What an assertion shows."""
        more = len(self.wrong) - SHOWN_MAX
        return "\n".join([*self.wrong[:SHOWN_MAX], *([f"and {more} more"] if more > 0 else []), self.to_markdown()])


def _table(head: tuple[str, str], rows: "dict[str, str] | dict[str, int]") -> list[str]:
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]


def describe(
    *,
    seed: int,
    started_at: datetime,
    stormed_s: float,
    took_s: float,
    ledger: Ledger,
    stored: StoredUsage,
    verdict: Verdict,
    faults: Faults,
    host_starts: int,
) -> Report:
    reported = sum(1 for event in ledger.events if event.sends)
    calls_acknowledged = sum(1 for attempt in ledger.attempts if attempt.acknowledged)
    return Report(
        seed=seed,
        started_at=started_at.isoformat(timespec="seconds"),
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}",
        faults_s=round(stormed_s, 1),
        total_s=round(took_s, 1),
        reported=reported,
        reported_acknowledged=len(ledger.acknowledged),
        report_requests=ledger.requests,
        retried=ledger.retried,
        duplicated=ledger.duplicated,
        call_attempts=len(ledger.attempts),
        calls_acknowledged=calls_acknowledged,
        sent=reported + len(ledger.attempts),
        acknowledged=len(ledger.acknowledged) + calls_acknowledged,
        counted=verdict.counted,
        counted_unacknowledged=verdict.counted_unacknowledged,
        published=stored.published,
        lost=verdict.lost,
        double=verdict.double,
        wrong=verdict.wrong,
        faults=_sorted(faults.happened),
        host_starts=host_starts,
        answers=_sorted(ledger.answers),
        spool_disk=faults.disk.why_not or "mounted",
    )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
