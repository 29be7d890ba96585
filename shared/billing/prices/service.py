"""Price plans: versions of a service's prices, each in force from its moment until the next one's.

A version is never changed. What has been announced can be withdrawn until its moment comes; from then on only another
version changes it. So what a period was billed by stays what it was, and an invoice can be computed again.

When a version takes effect:

- unless it says so, with the merchant's next period;
- else at a midnight in the merchant's time zone that is still to come, also within a period;
- not before a version that is announced already, which would end it at once: withdraw that one first. From the same
  midnight, the newer one holds;
- where there is no other version, it may go back to the start of the running period, so that who sets prices on the
  first day can bill that month. Nothing was priced before, and no period that is closed is touched.

Numbers count all versions that ever were, also withdrawn ones: the sequence's document is replaced by its ETag, so of
two that are added at once one is refused, and no number comes twice.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.billing.charges import Charge
from shared.billing.numbering import Numbers, sequence_document
from shared.billing.prices.models import Plan
from shared.billing.prices.notices import notify
from shared.billing.prices.store import PlanStore, plan_document
from shared.billing.profiles.store import ProfileStore
from shared.billing.store import BILLING
from shared.catalog.models import Service
from shared.catalog.store import CatalogStore
from shared.kernel.clock import format_time, utc_now
from shared.kernel.documents import Stored
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.paging import Page, bad_cursor, decode_cursor, encode_cursor
from shared.kernel.http.problems import not_found
from shared.kernel.periods import midnight, name_at, period
from shared.platform.documents import Create, Delete, Replace

VERSIONS_MAX = 1_000
AHEAD_MAX = timedelta(days=5 * 366)
"""Further ahead is a slip of the pen."""

PlanState = Literal["announced", "in_force", "past"]


def schedule(
    plans: Sequence[Plan], service_id: str, start: datetime, end: datetime
) -> list[tuple[datetime, datetime, Plan]]:
    """Find which version is in force in which part of [start, end), in order. Where none is, or one without charges,
    there is no part. Of two from the same moment the one with the higher number is."""
    versions = sorted(
        (plan for plan in plans if plan.service_id == service_id and plan.effective_from < end),
        key=lambda plan: (plan.effective_from, plan.number),
    )
    parts = []
    for index, plan in enumerate(versions):
        until = versions[index + 1].effective_from if index + 1 < len(versions) else end
        first, last = max(plan.effective_from, start), min(until, end)
        if first < last and plan.charges:
            parts.append((first, last, plan))
    return parts


@dataclass(frozen=True, slots=True)
class ServicePrices:
    """What a service costs now, and the next prices that were announced."""

    current: Plan | None
    next: Plan | None


def prices_at(plans: Sequence[Plan], now: datetime) -> ServicePrices:
    """Find the prices at a moment among the versions of one service."""
    begun = [plan for plan in plans if plan.effective_from <= now]
    ahead = [plan for plan in plans if plan.effective_from > now]
    return ServicePrices(
        max(begun, key=lambda plan: (plan.effective_from, plan.number), default=None),
        min(ahead, key=lambda plan: (plan.effective_from, -plan.number), default=None),
    )


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """A plan with the state that it is in, and the ETag that its withdrawal must name."""

    plan: Plan
    state: PlanState
    etag: str = ""


class Plans:
    """Decides on the prices of a merchant's services."""

    def __init__(
        self,
        *,
        plans: PlanStore,
        profiles: ProfileStore,
        catalog: CatalogStore,
        journal: Journal,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._plans = plans
        self._profiles = profiles
        self._catalog = catalog
        self._journal = journal
        self._now = now

    async def add(
        self,
        actor: Actor,
        service_id: str,
        *,
        name: str,
        currency: str,
        charges: Sequence[Charge],
        effective_from: datetime | None,
    ) -> PlanVersion:
        """Announce a version; in the background, everybody who has access to the service is told. Raises Problem 400;
        404; 409 `state_invalid`, `limit_reached`, `conflict`."""
        _check_charges(charges)
        service = await self._service(service_id)
        if service.status == "retired":
            raise Problem(409, "state_invalid", "A service that is retired gets no new prices.")
        plans = await self._plans.plans(service.merchant_id, service_id)
        numbers = await self._plans.get(Numbers, service.merchant_id, _numbers_document(service_id))
        number = max([0 if numbers is None else numbers.value.last, *(plan.number for plan in plans)]) + 1
        if number > VERSIONS_MAX:
            raise Problem(409, "limit_reached", f"A service has at most {VERSIONS_MAX} versions of its plan.")
        calendar = await self._calendar(service.merchant_id)
        plan = Plan(
            service_id=service_id,
            merchant_id=service.merchant_id,
            number=number,
            name=name,
            currency=currency,
            charges=tuple(charges),
            effective_from=calendar.start_of_version(effective_from, first=not plans),
            created_at=calendar.now,
            created_by=actor.account_id,
        )
        _check_order(plan, plans, calendar.now)
        etag = await self._create(actor, plan, numbers, calendar.zone)
        return PlanVersion(plan, _state(plan, [*plans, plan], calendar.now), etag)

    async def read(self, service_id: str, number: int) -> PlanVersion:
        """Read one version of a service's plan. Raises Problem 404."""
        service = await self._service(service_id)
        stored = await self._stored(service, number)
        plans = await self._plans.plans(service.merchant_id, service_id)
        return PlanVersion(stored.value, _state(stored.value, plans, self._now()), stored.etag)

    async def page(self, service_id: str, limit: int, cursor: str | None) -> Page[PlanVersion]:
        """A page of a service's versions, the newest first. Raises Problem 400 `cursor_invalid`, 404."""
        service, list_name = await self._service(service_id), f"plans:{service_id}"
        below = VERSIONS_MAX + 1 if cursor is None else decode_cursor(list_name, cursor)
        if not isinstance(below, int):
            raise bad_cursor()
        plans, now = await self._plans.plans(service.merchant_id, service_id), self._now()
        left = [plan for plan in reversed(plans) if plan.number < below]
        items = tuple(PlanVersion(plan, _state(plan, plans, now)) for plan in left[:limit])
        return Page(items, encode_cursor(list_name, items[-1].plan.number) if len(left) > limit else None)

    async def current_prices(self, service: Service) -> ServicePrices:
        """Read what a service costs now and next."""
        return prices_at(await self._plans.plans(service.merchant_id, service.id), self._now())

    async def withdraw(self, actor: Actor, service_id: str, number: int, if_match: str | None) -> None:
        """Withdraw a version before its moment has come; in the background, everybody who has access to the service is
        told. Raises Problem 404; 409 `state_invalid`, `conflict`; 412; 428."""
        service = await self._service(service_id)
        stored = await self._stored(service, number)
        check_match(if_match, stored.etag)
        plan = stored.value
        if plan.effective_from <= self._now():
            raise Problem(
                409,
                "state_invalid",
                f"Version {number} took effect at {format_time(plan.effective_from)}: it cannot be withdrawn any more,"
                " only followed by another version.",
            )
        change = changed(actor, "plan.withdraw", _resource(plan), plan, None)
        notice, task = notify(plan, (await self._calendar(plan.merchant_id)).zone, withdrawn=True)
        delete = Delete(plan_document(service_id, number), stored.etag)
        await self._journal.commit(BILLING, plan.merchant_id, [delete, notice], change, tasks=[task])

    async def _create(self, actor: Actor, plan: Plan, numbers: Stored[Numbers] | None, zone: str) -> str:
        """Returns the plan's ETag. Raises Problem 409 `conflict`."""
        name, body = _numbers_document(plan.service_id), Numbers(last=plan.number).to_json()
        counted = Create(name, body) if numbers is None else Replace(name, body, numbers.etag)
        notice, task = notify(plan, zone)
        operations = [Create(plan_document(plan.service_id, plan.number), plan.to_json()), counted, notice]
        change = changed(actor, "plan.create", _resource(plan), None, plan)
        return (await self._journal.commit(BILLING, plan.merchant_id, operations, change, tasks=[task]))[0]

    async def _service(self, service_id: str) -> Service:
        service = await self._catalog.service(service_id)
        if service is None:
            raise not_found()
        return service

    async def _stored(self, service: Service, number: int) -> Stored[Plan]:
        stored = await self._plans.plan(service.merchant_id, service.id, number)
        if stored is None:
            raise not_found()
        return stored

    async def _calendar(self, merchant_id: str) -> "Calendar":
        profile = await self._profiles.profile(merchant_id)
        zone, anchor = ("UTC", 1) if profile is None else (profile.value.time_zone, profile.value.anchor_day)
        return Calendar(zone, anchor, self._now().astimezone(UTC), await self._profiles.closed_until(merchant_id))


@dataclass(frozen=True, slots=True)
class Calendar:
    """A merchant's days and periods. `closed_until` is the end of the last period whose close has begun."""

    zone: str
    anchor_day: int
    now: datetime
    closed_until: datetime | None = None

    def start_of_version(self, asked: datetime | None, *, first: bool) -> datetime:
        """Decide when a version takes effect, in UTC. Raises Problem 400 naming `effective_from`."""
        running = period(name_at(self.now, self.zone, self.anchor_day), self.zone, self.anchor_day)
        if asked is None:
            return running.end
        if asked > self.now + AHEAD_MAX:
            raise _bad_start("must be within five years")
        # After a change of zone the running period begins where the one before ended, whatever the clock says there.
        earliest = running.start if self.closed_until is None else max(running.start, self.closed_until)
        if first and asked < earliest:
            raise _bad_start(f"must not be before the running period, which began at {format_time(earliest)}")
        if not first and asked <= self.now:
            raise _bad_start("must be in the future: the next midnight, or a later one")
        local = ZoneInfo(self.zone)
        begins = midnight(asked.astimezone(local).date(), local)
        if asked != begins and asked != earliest:
            raise _bad_start(f"must be a midnight in {self.zone}, such as {format_time(begins)}")
        return asked.astimezone(UTC)


def _state(plan: Plan, plans: Sequence[Plan], now: datetime) -> PlanState:
    if plan.effective_from > now:
        return "announced"
    return "in_force" if prices_at(plans, now).current == plan else "past"


def _check_charges(charges: Sequence[Charge]) -> None:
    """What a price calculator can do without, a plan cannot. Raises Problem 400."""
    errors = list(_charge_faults(charges))
    if errors:
        raise Problem(400, "request_invalid", "; ".join(f"`{e.field}`: {e.rule}" for e in errors), errors)


def _charge_faults(charges: Sequence[Charge]) -> Iterator[FieldError]:
    ids: set[str] = set()
    for index, charge in enumerate(charges):
        if "id" not in charge.model_fields_set:
            yield FieldError(f"charges.{index}.id", "is required in a plan")
        elif charge.id in ids:
            yield FieldError(f"charges.{index}.id", "must differ from the ids of the other charges")
        if not charge.name.strip():
            yield FieldError(f"charges.{index}.name", "is required in a plan: invoices show it")
        if charge.metric is None:
            yield FieldError(f"charges.{index}.metric", "is required in a plan")
        ids.add(charge.id)


def _check_order(plan: Plan, plans: Sequence[Plan], now: datetime) -> None:
    later = [one for one in plans if one.effective_from > max(now, plan.effective_from)]
    if later:
        last = max(later, key=lambda one: one.effective_from)
        raise Problem(
            409,
            "state_invalid",
            f"Version {last.number} is announced for {format_time(last.effective_from)}, after"
            f" {format_time(plan.effective_from)}: withdraw it first, or take effect no earlier.",
            (FieldError("effective_from", f"must not be before that of version {last.number}"),),
        )


def _bad_start(rule: str) -> Problem:
    return Problem(400, "request_invalid", f"`effective_from` {rule}.", (FieldError("effective_from", rule),))


def _numbers_document(service_id: str) -> str:
    return sequence_document("plan", service_id)


def _resource(plan: Plan) -> str:
    return f"plan:{plan.service_id}:{plan.number}"
