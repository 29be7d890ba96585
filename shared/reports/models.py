"""Reports and schedules of reports. One partition per owner (consumer, merchant or platform)."""

from typing import Annotated, Literal, TypeAlias

from pydantic import AwareDatetime, Field, model_validator

from shared.kernel.documents import Identifier, Name, StoredModel
from shared.kernel.periods import Month
from shared.webhooks.owners import OwnerKind

ReportFormat = Literal["pdf", "csv"]
Status = Literal["queued", "running", "done", "failed"]
Group: TypeAlias = Literal[
    "service", "consumer", "api_key", "project", "image", "version", "feature", "merchant", "hour", "day", "month"
]
PSEUDONYMS_MAX = 100
SubjectPseudonym = Annotated[str, Field(pattern=r"^cus_[a-z2-7]{1,60}$")]


class Subject(StoredModel):
    """What a report is about; without anything, all usage of the owner. Pseudonyms are a merchant's, `api_key_id` and
    `project_id` a consumer's, `merchant_id` and `consumer_id` the platform's; everybody may name a service."""

    service_id: Identifier | None = None
    pseudonyms: Annotated[tuple[SubjectPseudonym, ...], Field(max_length=PSEUDONYMS_MAX)] = ()
    api_key_id: Identifier | None = None
    project_id: Identifier | None = None
    merchant_id: Identifier | None = None
    consumer_id: Identifier | None = None


class Contents(StoredModel):
    """What is asked for, whatever the range. `by`: dimensions, and at most one of hour, day and month."""

    name: Name
    subject: Subject = Subject()
    by: Annotated[tuple[Group, ...], Field(max_length=8)] = ("day",)
    time_zone: Annotated[str, Field(max_length=64)] = "UTC"
    format: ReportFormat = "pdf"
    share_with_consumer: bool = False

    @model_validator(mode="after")
    def _fits(self) -> "Contents":
        if len(set(self.by)) != len(self.by) or len({"hour", "day", "month"} & set(self.by)) > 1:
            raise ValueError("`by` must be different ones, and at most one of hour, day, month")
        if self.share_with_consumer and len(self.subject.pseudonyms) != 1:
            raise ValueError("`share_with_consumer` is for a report about exactly one pseudonym")
        return self


class Report(StoredModel):
    """Under `report:{id}`. [start, end) is in whole quarter hours. `progress` is percent of the range.

    `due` is when somebody may (again) begin to make it; absent once it is done or failed. `attempt` counts those who
    began, and is part of the name of what they write, so that two never write one document. `shared_by` is the merchant
    whose report a consumer's is a copy of: `blob` is the merchant's then.
    """

    kind: Literal["report"] = "report"
    id: Identifier
    owner_kind: OwnerKind
    owner_id: Identifier
    contents: Contents
    start: AwareDatetime
    end: AwareDatetime
    status: Status = "queued"
    progress: Annotated[int, Field(ge=0, le=100)] = 0
    due: str | None = None
    attempt: int = 0
    rows: int | None = None
    requests: int | None = None
    as_of: str | None = None
    blob: str | None = None
    error: str | None = None
    schedule_id: Identifier | None = None
    shared_by: Identifier | None = None
    created_at: AwareDatetime
    created_by: Identifier
    finished_at: AwareDatetime | None = None


class Schedule(StoredModel):
    """Makes a report of each calendar month in the contents' zone, once it is over. Under `schedule:{id}`; `month` is
    the next one, `due` when it can be made."""

    kind: Literal["schedule"] = "schedule"
    id: Identifier
    owner_kind: OwnerKind
    owner_id: Identifier
    contents: Contents
    month: Month
    due: str
    created_at: AwareDatetime
    created_by: Identifier
