"""Kinds of tasks that billing leaves in the outbox. The modules that do them are loaded when there is one to do."""

from pydantic import Field

from shared.audit.tasks import Task


class TellPriceChange(Task):
    """Tell the subscribers of a service of a change of its prices; `notice` is the id of the document that says which
    (`shared.billing.prices.notices`)."""

    kind = "plan.tell"

    merchant_id: str
    notice: str


class AnnounceInvoices(Task):
    """Tell buyers and webhooks of invoices that were issued together, at that time
    (`shared.billing.invoices.announcements`). `first_task`, stored as `as`, is the id of the task that began with them,
    where this one goes on."""

    kind = "invoice.issued"

    merchant_id: str
    ids: tuple[str, ...]
    at: str | None = None
    first_task: str | None = Field(default=None, alias="as")
