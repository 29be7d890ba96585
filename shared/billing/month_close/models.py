"""Months being closed, and what is left to do of them once they are: stored beside the merchant's invoices."""

from typing import Literal

from pydantic import AwareDatetime, Field

from shared.billing.profiles.models import BillingProfile
from shared.billing.tax.models import Party
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import Percent
from shared.kernel.periods import Day, Month, Period

CloseStatus = Literal["running", "done"]


class Close(StoredModel):
    """A merchant's month being closed, under `close:{period}`. Everything that its invoices depend on besides usage is
    frozen here when it begins, so that going on after a kill makes the same documents. `done` counts consumers;
    `after` is the pseudonym of the last of them. `held` are those who could not be billed, with the reason; the next
    run tries again. `told` has those of `held`, with the reason, of whom the platform was told; `filed` is how many
    invoices were left to be filed meanwhile.
    """

    kind: Literal["close"] = "close"
    merchant_id: Identifier
    period: Month
    start: AwareDatetime
    end: AwareDatetime
    time_zone: str
    issued_on: Day
    due_on: Day
    financial_year: str
    commission_percent: Percent
    seller: Party
    profile: BillingProfile
    logo: str | None = None
    status: CloseStatus = "running"
    done: int = 0
    invoices: int = 0
    after: str = ""
    held: dict[str, str] = Field(default_factory=dict)
    told: dict[str, str] = Field(default_factory=dict)
    filed: int = 0
    begun_at: AwareDatetime
    finished_at: AwareDatetime | None = None

    @property
    def resource(self) -> str:
        """The close's name in the audit log."""
        return f"close:{self.merchant_id}:{self.period}"

    @property
    def as_period(self) -> Period:
        """The period that is closed."""
        return Period(self.period, self.start, self.end, self.time_zone)


class Filing(StoredModel):
    """Invoices of a period whose documents are still to be made, under `filing:{period}`; the document is gone when
    they are made. `after` is the number of the last one done. Who works on it has it until `leased_until`; `attempts`
    were made of what comes next."""

    kind: Literal["filing"] = "filing"
    merchant_id: Identifier
    period: Month
    after: str = ""
    attempts: int = 0
    leased_until: AwareDatetime | None = None
