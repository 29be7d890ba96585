"""Where a report's figures come from: the usage views of its owner, with all of their rules."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast, get_args

from shared.access.models import ApiKey
from shared.access.store import AccessStore
from shared.access.subscribers.directory import find_consumer_id
from shared.catalog.store import CatalogStore
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.problems import not_found
from shared.metering.views.consumer import ConsumerUsage
from shared.metering.views.merchant import MerchantUsage
from shared.metering.views.platform import PlatformUsage
from shared.metering.views.selection import Dimension, GroupSums, SummedUsage, UsageSelection
from shared.metering.windows import TimeStep, Window
from shared.reports.models import Contents, Report, Subject
from shared.webhooks.owners import OwnerKind

_ALLOWED: dict[str, tuple[tuple[Dimension, ...], frozenset[str]]] = {
    "consumer": (
        ("service", "api_key", "project", "image", "version", "feature"),
        frozenset({"service_id", "api_key_id", "project_id"}),
    ),
    "merchant": (
        ("service", "consumer", "api_key", "image", "version", "feature"),
        frozenset({"service_id", "pseudonyms", "api_key_id"}),
    ),
    "platform": (("merchant", "service"), frozenset({"service_id", "merchant_id", "consumer_id"})),
}
"""By whose report it is: what it may be grouped by, and what it may be about."""


def step_of(contents: Contents) -> TimeStep | None:
    """The step of time that a report is grouped by: hour, day, month, or none."""
    return cast("TimeStep | None", next((part for part in contents.by if part in get_args(TimeStep)), None))


def dimensions_of(contents: Contents) -> tuple[Dimension, ...]:
    """The dimensions that a report is grouped by, without its step of time."""
    return cast("tuple[Dimension, ...]", tuple(part for part in contents.by if part not in get_args(TimeStep)))


@dataclass(frozen=True, slots=True)
class Portion:
    """Sums of a stretch of time by `by`; keys by pseudonym and id, where a merchant sees them."""

    by: tuple[Dimension, ...]
    groups: Sequence[GroupSums]
    keys: dict[tuple[str, str], ApiKey]
    as_of: str


class ReportSources:
    """Reads a report's figures from the usage views of its owner."""

    def __init__(
        self,
        access: AccessStore,
        catalog: CatalogStore,
        consumers: ConsumerUsage,
        merchants: MerchantUsage,
        platform: PlatformUsage,
    ) -> None:
        self._access = access
        self._catalog = catalog
        self._consumers = consumers
        self._merchants = merchants
        self._platform = platform

    async def check(self, kind: OwnerKind, owner_id: str, contents: Contents) -> None:
        """Check that an owner may ask for these contents. Raises Problem 400 `request_invalid` for what makes no sense
        for it, 404 for what is not its own."""
        errors = list(_senseless(kind, contents))
        if errors:
            detail = "; ".join(f"`{error.field}` {error.rule}" for error in errors)
            raise Problem(400, "request_invalid", f"{detail}.", errors=tuple(errors))
        may_ask_for = {
            "merchant": self._merchant_may_ask_for,
            "consumer": self._consumer_may_ask_for,
            "platform": self._platform_may_ask_for,
        }[kind]
        if not await may_ask_for(owner_id, contents.subject):
            raise not_found()

    async def _merchant_may_ask_for(self, merchant_id: str, subject: Subject) -> bool:
        service = None if subject.service_id is None else await self._catalog.service(subject.service_id)
        if subject.service_id is not None and (service is None or service.merchant_id != merchant_id):
            return False
        return all([await self.consumer_id(merchant_id, each) is not None for each in subject.pseudonyms])

    async def _consumer_may_ask_for(self, consumer_id: str, subject: Subject) -> bool:
        key, project = subject.api_key_id, subject.project_id
        return (key is None or await self._access.key(consumer_id, key) is not None) and (
            project is None or await self._access.project(consumer_id, project) is not None
        )

    async def _platform_may_ask_for(self, _owner_id: str, subject: Subject) -> bool:
        named = (
            subject.service_id is None or await self._catalog.service(subject.service_id) is not None,
            subject.merchant_id is None or await self._catalog.merchant(subject.merchant_id) is not None,
            subject.consumer_id is None or await self._access.consumer(subject.consumer_id) is not None,
        )
        return all(named)

    async def consumer_id(self, merchant_id: str, pseudonym: str) -> str | None:
        """Find whose a merchant's pseudonym is; None when the merchant has no such consumer."""
        return await find_consumer_id(self._access, merchant_id, pseudonym)

    async def service_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Look up the names of services, as far as they are still known."""
        found = [await self._catalog.service(service_id) for service_id in sorted(ids)]
        return {service.id: service.name for service in found if service is not None}

    async def merchant_names(self, ids: Iterable[str]) -> dict[str, str]:
        """Look up the names of merchants, as far as they are still known."""
        found = [await self._catalog.merchant(merchant_id) for merchant_id in sorted(ids)]
        return {merchant.id: merchant.name for merchant in found if merchant is not None}

    async def read(self, report: Report, window: Window) -> list[Portion]:
        """Read the usage in a stretch of the report's range. Raises Problem 400 `range_invalid` when that is too much
        to sum up at once, 404 when what it is about is gone."""
        subject = report.contents.subject
        selection = UsageSelection(window, dimensions_of(report.contents), dict(_only(subject)))
        if report.owner_kind == "merchant":
            return [await self._of_merchant(report, selection, each) for each in subject.pseudonyms or (None,)]
        if report.owner_kind == "consumer":
            summed = await self._consumers.sums(report.owner_id, selection)
        elif subject.consumer_id is not None:
            summed = await self._consumers.sums(subject.consumer_id, selection)
        else:
            summed = await self._platform.sums(selection)
        return [_portion(selection, summed)]

    async def _of_merchant(self, report: Report, selection: UsageSelection, pseudonym: str | None) -> Portion:
        named = await self._merchants.pseudonymous(report.owner_id, selection, pseudonym)
        return Portion(named.by, named.summed.groups, named.keys, named.summed.as_of)


def _portion(selection: UsageSelection, summed: SummedUsage) -> Portion:
    return Portion(selection.by, summed.groups, {}, summed.as_of)


def _only(subject: Subject) -> Iterator[tuple[Dimension, str]]:
    named: tuple[tuple[Dimension, str | None], ...] = (
        ("service", subject.service_id),
        ("api_key", subject.api_key_id),
        ("project", subject.project_id),
        ("merchant", subject.merchant_id),
    )
    return ((dimension, value) for dimension, value in named if value is not None)


def _senseless(kind: OwnerKind, contents: Contents) -> Iterator[FieldError]:
    dimensions, subjects = _ALLOWED[kind]
    steps = get_args(TimeStep)
    if not set(contents.by) <= {*dimensions, *steps}:
        yield FieldError("by", f"must be of {', '.join((*dimensions, *steps))}")
    for name in type(contents.subject).model_fields:
        if getattr(contents.subject, name) and name not in subjects:
            yield FieldError(f"subject.{name}", f"cannot be what a report of a {kind} is about")
    if kind != "merchant" and contents.share_with_consumer:
        yield FieldError("share_with_consumer", "is for reports of merchants")
    if contents.subject.merchant_id and contents.subject.consumer_id:
        yield FieldError("subject.consumer_id", "must not be beside `merchant_id`")
