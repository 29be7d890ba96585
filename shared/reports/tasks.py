"""Kinds of tasks that reports leave in the outbox. The modules that do them are loaded when there is one to do."""

from shared.audit.tasks import Task


class MakeReports(Task):
    """Look for reports to be made, at once: the timer would find them too, within a minute."""

    kind = "report.make"


class ClearReport(Task):
    """Delete whatever was written of a report: `Maker.on_clear`."""

    kind = "report.clear"

    owner_id: str
    id: str
