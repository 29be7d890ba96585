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
    """A rule: when a metric reaches a threshold within a window, it is told once in that window."""

    name: Annotated[Name, Field(examples=["Half of the month's quota"])]
    """What people call the rule."""
    metric: RuleMetric
    """What is looked at; `quota_percent` is the share of a key's monthly quota, and needs `api_key_id` and the window
    `month`."""
    window: RuleWindow
    """The UTC day or month over which is summed."""
    threshold: Annotated[RuleThreshold, Field(examples=["50"])]
    """What must be reached, as a decimal in text: a number of requests or events, bytes, or percent."""
    service_id: Identifier | None = None
    """Only usage of this service; null is all."""
    api_key_id: Identifier | None = None
    """Only usage with this key; null is all. For rules of consumers."""
    project_id: Identifier | None = None
    """Only usage of this project's keys; null is all. For rules of consumers."""
    requests_min: RequestsMin = 100
    """For rates: below so many requests in the window the rule does not fire."""
    mail: bool = True
    """Whether mails are sent when it fires."""
    webhook: bool = True
    """Whether `alert.fired` is posted to the owner's webhooks."""


class AlertRuleChange(Input):
    """Only what is given is changed. What a rule looks at stays: make another rule for that."""

    name: Name | None = None
    """What people call the rule; null or absent leaves it."""
    threshold: RuleThreshold | None = None
    """What must be reached, as a decimal in text; null or absent leaves it."""
    requests_min: RequestsMin | None = None
    """For rates: below so many requests the rule does not fire; null or absent leaves it."""
    mail: bool | None = None
    """Whether mails are sent; null or absent leaves it."""
    webhook: bool | None = None
    """Whether `alert.fired` is posted; null or absent leaves it."""
    status: Literal["enabled", "disabled"] | None = None
    """`disabled` rules are not looked at; null or absent leaves it."""


class AlertRuleView(View):
    """An alert rule."""

    id: AlertRuleId
    name: str
    """What people call the rule."""
    metric: RuleMetric
    """What is looked at."""
    window: RuleWindow
    """The UTC day or month over which is summed."""
    threshold: str
    """What must be reached, as a decimal in text."""
    service_id: str | None
    """Only usage of this service; null is all."""
    api_key_id: str | None
    """Only usage with this key; null is all. For rules of consumers."""
    project_id: str | None
    """Only usage of this project's keys; null is all."""
    requests_min: int
    """For rates: below so many requests in the window the rule does not fire."""
    mail: bool
    """Whether mails are sent when it fires."""
    webhook: bool
    """Whether `alert.fired` is posted to the owner's webhooks."""
    status: Literal["enabled", "disabled"]
    """`disabled` rules are not looked at."""
    created_at: CreatedAt


class AlertRuleList(View):
    """All rules of one owner."""

    items: list[AlertRuleView]
    """The rules, oldest first."""


class FiredAlertView(View):
    """A rule that fired."""

    id: str
    """Id of this firing; it is in the webhook's event too."""
    rule_id: AlertRuleId
    name: str
    """The rule's name as it was then."""
    metric: RuleMetric
    """What was looked at."""
    period: str
    """The UTC day (`2026-03-01`) or month (`2026-03`) in which it fired."""
    threshold: str
    """The rule's threshold as it was then, as a decimal in text."""
    value: str
    """What was reached then, as a decimal in text."""
    fired_at: AwareDatetime
    """When the rule fired: rules are evaluated every minute."""


class FiredAlertList(View):
    """A page of what fired."""

    items: list[FiredAlertView]
    """The page's items."""
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
