"""How a merchant bills, what it agreed with the platform, and what a consumer wants on its invoices."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.billing.models import BillingProfile, BuyerDetails, TaxRegistration, Terms
from shared.billing.store import BILLING, BUYER, PROFILE, TERMS, BillingStore
from shared.billing.tax_ids import check_tax_id
from shared.catalog.store import CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.errors import FieldError, Problem
from shared.kernel.money import Percent
from shared.kernel.preconditions import check_match
from shared.kernel.problems import not_found
from shared.kernel.stored import Held, StoredModel
from shared.platform.documents import Create, Replace

M = TypeVar("M", bound=StoredModel)
_YEAR = timedelta(days=366)
_QUARTER = timedelta(minutes=15)


class BillingSetup:
    """One per process."""

    def __init__(
        self, store: BillingStore, catalog: CatalogStore, journal: Journal, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._journal = journal
        self._now = now

    async def profile(self, merchant_id: str) -> Held[BillingProfile]:
        """Raises Problem 404 for a merchant who does not bill."""
        return _found(await self._store.profile(merchant_id))

    async def put_profile(
        self, actor: Actor, merchant_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Held[BillingProfile]:
        """The first one begins to bill, from now on. Raises Problem 400; 404 for a merchant that does not exist; 409
        `state_invalid` for another anchor day once a month was closed; 412, 428."""
        if await self._catalog.merchant(merchant_id) is None:
            raise not_found()
        before = await self._store.profile(merchant_id)
        begun = self._now() if before is None else before.value.billing_from
        profile = BillingProfile(**{**values, "merchant_id": merchant_id, "billing_from": begun})
        _check_zone(profile.time_zone, self._now())
        registrations = tuple(_checked(each, n) for n, each in enumerate(profile.registrations))
        profile = profile.model_copy(update={"registrations": registrations})
        if before is not None and before.value.anchor_day != profile.anchor_day:
            await self._check_nothing_closed(merchant_id)
        return await self._put(actor, "billing", merchant_id, PROFILE, before, profile, if_match)

    async def terms(self, merchant_id: str) -> Held[Terms]:
        """The platform's own while nothing else was agreed. Raises Problem 404 for a merchant that does not exist."""
        if await self._catalog.merchant(merchant_id) is None:
            raise not_found()
        return await self._store.terms(merchant_id) or Held(Terms(), "")

    async def put_terms(
        self, actor: Actor, merchant_id: str, commission_percent: Percent | None, if_match: str | None, reason: str
    ) -> Held[Terms]:
        """From the next close on. None: the platform's commission. Raises Problem 404, 412, 428."""
        held = await self.terms(merchant_id)
        before = held if held.etag else None
        after = Terms(commission_percent=commission_percent)
        return await self._put(actor, "terms", merchant_id, TERMS, before, after, if_match, reason)

    async def buyer(self, consumer_id: str) -> Held[BuyerDetails]:
        """Raises Problem 404 while a consumer has said nothing."""
        return _found(await self._store.buyer(consumer_id))

    async def put_buyer(
        self, actor: Actor, consumer_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Held[BuyerDetails]:
        """For the invoices that are issued from now on. Raises Problem 400, 412, 428."""
        details = BuyerDetails(**{**values, "consumer_id": consumer_id})
        if details.tax_id:
            number = _tax_id("tax_id", details.address.country, details.tax_id)
            details = details.model_copy(update={"tax_id": number})
        before = await self._store.buyer(consumer_id)
        return await self._put(actor, "buyer", consumer_id, BUYER, before, details, if_match)

    async def _put(
        self, actor: Actor, what: str, partition: str, document: str, before: Held[M] | None, after: M,
        if_match: str | None, reason: str | None = None,
    ) -> Held[M]:  # fmt: skip
        """What is not there yet is made without `If-Match`; what is there is replaced with it."""
        if before is not None:
            check_match(if_match, before.etag)
        action = f"{what}.{'create' if before is None else 'update'}"
        old = None if before is None else before.value
        change = changed(actor, action, f"{what}:{partition}", old, after, reason=reason)
        body = after.to_json()
        write = Create(document, body) if before is None else Replace(document, body, before.etag)
        etags = await self._journal.commit(BILLING, partition, [write], change)
        return Held(after, etags[0])

    async def _check_nothing_closed(self, merchant_id: str) -> None:
        if await self._store.closes(merchant_id):
            raise Problem(409, "state_invalid", "The anchor day cannot change any more: a month was closed with it.")


def _found(held: Held[M] | None) -> Held[M]:
    if held is None:
        raise not_found()
    return held


def _check_zone(name: str, now: datetime) -> None:
    """Months of a zone must be whole quarter hours, in which usage is counted. Raises Problem 400."""
    try:
        zone = ZoneInfo(name)
        offsets = [(now + _YEAR / 12 * month).astimezone(zone).utcoffset() for month in range(13)]
    except (ValueError, OSError, KeyError):  # OSError: a folder of zones; KeyError: not found
        raise _bad("time_zone", "must be an IANA time zone, such as Asia/Kolkata") from None
    if any(offset is None or offset % _QUARTER for offset in offsets):
        raise _bad("time_zone", "must be one that counts in whole quarter hours")


def _checked(registration: TaxRegistration, number: int) -> TaxRegistration:
    kind = "in_gst" if registration.country == "IN" else None
    if (registration.kind == "in_gst") != (kind == "in_gst"):
        raise _bad(f"registrations.{number}.kind", "must be in_gst for India, and for no other country")
    compact = _tax_id(f"registrations.{number}.number", registration.country, registration.number)
    return registration.model_copy(update={"number": compact})


def _tax_id(field: str, country: str, number: str) -> str:
    try:
        return check_tax_id(country, number)
    except ValueError as error:
        raise _bad(field, str(error)) from None


def _bad(field: str, rule: str) -> Problem:
    return Problem(400, "request_invalid", f"`{field}` {rule}.", errors=(FieldError(field, rule),))
