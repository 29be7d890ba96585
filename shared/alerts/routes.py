"""Alert rules of a consumer, a merchant or the platform: the same routes three times, each with its own permission."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field

from shared.alerts.models import Rule, RuleMetric, RuleThreshold, RuleWindow
from shared.alerts.parts import AlertParts
from shared.alerts.service import AlertRules
from shared.identity.guard import allowed
from shared.identity.models import Caller
from shared.kernel.documents import Identifier, Name, Stored
from shared.kernel.http.etags import entity_tag
from shared.kernel.http.fields import AlertRuleId, CreatedAt, NextCursor
from shared.kernel.http.operation_ids import owned_operation_id
from shared.kernel.http.parameters import Cursor, IfMatch, PageSize
from shared.kernel.http.provided import provided
from shared.kernel.http.schemas import Input, View
from shared.webhooks.owners import OWNER_IDS, OWNER_NAMES, OWNER_PATHS, OwnerKind

RequestsMin = Annotated[int, Field(ge=1, le=10**9)]


class AlertRuleInput(Input):
    """An alert rule: when a metric reaches the threshold within a day or month, the owner is notified once in it."""

    name: Annotated[Name, Field(examples=["Half of the month's quota"])]
    """Display name of the rule."""
    metric: RuleMetric
    """Metric of the rule. `quota_percent` is the used share of a key's monthly quota; it requires `api_key_id` and the
    window `month`."""
    window: RuleWindow
    """Window over which the metric is summed: a UTC day or month."""
    threshold: Annotated[RuleThreshold, Field(examples=["50"])]
    """Threshold at which the rule fires, a decimal as text: a number of requests or events, bytes, or percent."""
    service_id: Identifier | None = None
    """Only usage of this service; null is all."""
    api_key_id: Identifier | None = None
    """Only usage with this key; null is all. For rules of consumers."""
    project_id: Identifier | None = None
    """Only usage of this project's keys; null is all. For rules of consumers."""
    requests_min: RequestsMin = 100
    """For `error_rate_percent`: the minimum number of requests before the rule is evaluated."""
    mail: bool = True
    """Whether e-mails are sent when the rule fires."""
    webhook: bool = True
    """Whether `alert.fired` is posted to the owner's webhooks."""


class AlertRuleChange(Input):
    """A change of an alert rule: only what is given is changed. Metric, window and filters cannot change: create
    another rule."""

    name: Name | None = None
    """Display name of the rule; null or absent leaves it."""
    threshold: RuleThreshold | None = None
    """Threshold at which the rule fires, a decimal as text; null or absent leaves it."""
    requests_min: RequestsMin | None = None
    """For `error_rate_percent`: the minimum number of requests before the rule is evaluated; null or absent leaves
    it."""
    mail: bool | None = None
    """Whether e-mails are sent when the rule fires; null or absent leaves it."""
    webhook: bool | None = None
    """Whether `alert.fired` is posted to the owner's webhooks; null or absent leaves it."""
    status: Literal["enabled", "disabled"] | None = None
    """Status of the rule; `disabled` rules are not evaluated. Null or absent leaves it."""


class AlertRuleView(View):
    """An alert rule."""

    id: AlertRuleId
    name: str
    """Display name of the rule."""
    metric: RuleMetric
    """Metric of the rule."""
    window: RuleWindow
    """Window over which the metric is summed: a UTC day or month."""
    threshold: str
    """Threshold at which the rule fires, a decimal as text."""
    service_id: str | None
    """Only usage of this service; null is all."""
    api_key_id: str | None
    """Only usage with this key; null is all. For rules of consumers."""
    project_id: str | None
    """Only usage of this project's keys; null is all."""
    requests_min: int
    """For `error_rate_percent`: the minimum number of requests before the rule is evaluated."""
    mail: bool
    """Whether e-mails are sent when the rule fires."""
    webhook: bool
    """Whether `alert.fired` is posted to the owner's webhooks."""
    status: Literal["enabled", "disabled"]
    """Status of the rule; `disabled` rules are not evaluated."""
    created_at: CreatedAt


class AlertRuleList(View):
    """All alert rules of one owner."""

    items: list[AlertRuleView]
    """Alert rules, oldest first."""


class FiredAlertView(View):
    """A fired alert."""

    id: str
    """Id of the fired alert, also in the webhook's event."""
    rule_id: AlertRuleId
    name: str
    """Name of the rule when it fired."""
    metric: RuleMetric
    """Metric of the rule."""
    period: str
    """UTC day (`2026-03-01`) or month (`2026-03`) in which the rule fired."""
    threshold: str
    """Threshold of the rule when it fired, a decimal as text."""
    value: str
    """Value of the metric when the rule fired, a decimal as text."""
    fired_at: AwareDatetime
    """When it fired; rules are evaluated every minute."""


class FiredAlertList(View):
    """A page of fired alerts."""

    items: list[FiredAlertView]
    """Items of the page."""
    next_cursor: NextCursor


AlertRulesPart = Annotated[AlertRules, Depends(provided(AlertParts, lambda alerts: alerts.rules))]


def _view(rule: Rule) -> AlertRuleView:
    return AlertRuleView.model_validate({**rule.model_dump(), "threshold": f"{rule.threshold.normalize():f}"})


def _answer(stored: Stored[Rule], response: Response) -> AlertRuleView:
    response.headers["ETag"] = entity_tag(stored.etag)
    return _view(stored.value)


def _routes(kind: OwnerKind, action: str) -> APIRouter:
    """The routes for one kind of owner."""
    router = APIRouter(prefix=OWNER_PATHS[kind], tags=["alerts"], generate_unique_id_function=owned_operation_id(kind))
    whose = OWNER_NAMES[kind]
    Allowed = Annotated[Caller, Depends(allowed(action))]  # noqa: N806 - a type
    Owner = Annotated[str, Depends(OWNER_IDS[kind])]  # noqa: N806 - a type

    @router.post("/alerts", status_code=201, summary=f"Add {whose} alert rule")
    async def add_alert(
        caller: Allowed, owner_id: Owner, service: AlertRulesPart, body: AlertRuleInput, response: Response
    ) -> AlertRuleView:
        """Create an alert rule. It fires at most once in each period in which the threshold is reached."""
        return _answer(await service.add(caller.actor, kind, owner_id, body.model_dump()), response)

    @router.get("/alerts", summary=f"List {whose} alert rules")
    async def list_alerts(caller: Allowed, owner_id: Owner, service: AlertRulesPart) -> AlertRuleList:
        """List all alert rules, oldest first."""
        return AlertRuleList(items=[_view(rule) for rule in await service.list(owner_id)])

    @router.get("/alerts/fired", summary=f"List {whose} fired alerts")
    async def list_fired_alerts(
        caller: Allowed,
        owner_id: Owner,
        service: AlertRulesPart,
        limit: PageSize = 20,
        cursor: Cursor = None,
    ) -> FiredAlertList:
        """Alerts that fired, latest period first."""
        page = await service.fired(owner_id, limit, cursor)
        items = [FiredAlertView.model_validate(one.model_dump(mode="json")) for one in page.items]
        return FiredAlertList(items=items, next_cursor=page.cursor)

    @router.get("/alerts/{rule_id}", summary=f"Read {whose} alert rule")
    async def read_alert(
        caller: Allowed, owner_id: Owner, service: AlertRulesPart, rule_id: AlertRuleId, response: Response
    ) -> AlertRuleView:
        """Read one alert rule."""
        return _answer(await service.find(owner_id, rule_id), response)

    @router.patch("/alerts/{rule_id}", summary=f"Change {whose} alert rule")
    async def change_alert(
        caller: Allowed,
        owner_id: Owner,
        service: AlertRulesPart,
        rule_id: AlertRuleId,
        body: AlertRuleChange,
        response: Response,
        if_match: IfMatch = None,
    ) -> AlertRuleView:
        """Change an alert rule, or disable or enable it."""
        values = body.model_dump(exclude_unset=True, exclude_none=True)
        return _answer(await service.update(caller.actor, owner_id, rule_id, values, if_match), response)

    @router.delete("/alerts/{rule_id}", status_code=204, summary=f"Delete {whose} alert rule")
    async def delete_alert(
        caller: Allowed, owner_id: Owner, service: AlertRulesPart, rule_id: AlertRuleId, if_match: IfMatch = None
    ) -> None:
        """Delete an alert rule."""
        await service.remove(caller.actor, owner_id, rule_id, if_match)

    return router


routers = (
    _routes("consumer", "alert.manage"),
    _routes("merchant", "alert.manage_merchant"),
    _routes("platform", "alert.manage_platform"),
)
