"""What reports leave in the outbox."""

from typing import TYPE_CHECKING

from shared.audit.journal import Task

if TYPE_CHECKING:  # consume's start registers the handlers, and does not pay for the models
    from shared.reports.models import Report

MAKE_TASK = "report.make"
CLEAR_TASK = "report.clear"


def make() -> Task:
    """Look for reports to be made, at once: the timer would find them too, within a minute."""
    return Task(MAKE_TASK)


def clear(report: "Report") -> Task:
    """Delete whatever was written of a report."""
    return Task(CLEAR_TASK, {"owner_id": report.owner_id, "id": report.id})
