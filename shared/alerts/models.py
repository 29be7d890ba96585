"""Alert rules, and what they fired. They share the container of webhooks: one partition per owner."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, model_validator

from shared.kernel.documents import Identifier, Name, StoredModel
from shared.webhooks.owners import OwnerKind

RuleMetric = Literal[
    "requests", "events", "request_bytes", "response_bytes", "executions", "quota_percent", "error_rate_percent"
]
RuleWindow = Literal["day", "month"]
"""A UTC day or calendar month: the period in which a rule fires at most once."""

RuleThreshold = Annotated[Decimal, Field(gt=0, le=Decimal(10) ** 18, max_digits=22, decimal_places=4)]


class Rule(StoredModel):
    """A rule of an owner, which fires when `metric` reaches `threshold` within the window.

    It looks at all usage of the owner that matches `service_id`, `api_key_id` and `project_id`. `error_rate_percent` is
    the share of requests answered with 4xx or 5xx, looked at from `requests_min` requests on. `quota_percent` is the
    month's requests of one key in percent of its own monthly quota, so it needs `api_key_id`, and the month.
    """

    kind: Literal["rule"] = "rule"
    id: Identifier
    owner_kind: OwnerKind
    owner_id: Identifier
    name: Name
    metric: RuleMetric
    window: RuleWindow
    threshold: RuleThreshold
    service_id: Identifier | None = None
    api_key_id: Identifier | None = None
    project_id: Identifier | None = None
    requests_min: Annotated[int, Field(ge=1, le=10**9)] = 100
    mail: bool = True
    webhook: bool = True
    status: Literal["enabled", "disabled"] = "enabled"
    created_at: AwareDatetime

    @model_validator(mode="after")
    def _fits(self) -> "Rule":
        if self.metric == "quota_percent" and (self.api_key_id is None or self.window != "month"):
            raise ValueError("`quota_percent` needs `api_key_id`, and the window `month`")
        if self.owner_kind != "consumer" and (self.api_key_id is not None or self.project_id is not None):
            raise ValueError("`api_key_id` and `project_id` are for rules of consumers")
        return self


class Fired(StoredModel):
    """A rule that fired in a period (`YYYY-MM-DD` or `YYYY-MM`). The document's id is made of both, so it is created
    once."""

    kind: Literal["fired"] = "fired"
    id: Identifier
    rule_id: Identifier
    owner_id: Identifier
    name: Name
    metric: RuleMetric
    period: str
    threshold: Decimal
    value: Decimal
    fired_at: AwareDatetime
