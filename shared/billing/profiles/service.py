"""How a merchant bills, what it agreed with the platform, and what a consumer wants on its invoices."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from shared.audit.journal import Journal
from shared.audit.models import Actor, changed
from shared.billing.profiles.models import BillingProfile, BuyerDetails, Terms
from shared.billing.profiles.store import BUYER, PROFILE, TERMS, ProfileStore
from shared.billing.store import BILLING
from shared.billing.tax.ids import EU, check_registration, check_tax_id, gst_state
from shared.billing.tax.models import TaxRegistration
from shared.catalog.models import Address
from shared.catalog.store import CatalogStore
from shared.kernel.clock import utc_now
from shared.kernel.countries import check_country, time_zones
from shared.kernel.documents import Stored, StoredModel
from shared.kernel.errors import FieldError, Problem
from shared.kernel.http.etags import check_match
from shared.kernel.http.problems import not_found
from shared.kernel.money import Percent
from shared.platform.documents import Create, Replace

M = TypeVar("M", bound=StoredModel)
_YEAR = timedelta(days=366)
_QUARTER = timedelta(minutes=15)
_GST_DIGITS_MAX = 5
"""After the point of India's whole rate, so that half of it is still a `Percent`."""

_READS_AS_A_YEAR = re.compile(r"[A-Z0-9]{1,2}[0-9]{2}", re.ASCII).fullmatch
"""Prefixes with which a merchant who changes them could give a number twice."""

PERSONAL = frozenset({"legal_name", "address", "tax_id", "email"})
"""Of a buyer, who may be a person: the audit log says that they were changed, and since it is never erased, no more."""


class BillingSetup:
    """Decides how merchants bill and how consumers are billed. There is one in each process."""

    def __init__(
        self, profiles: ProfileStore, catalog: CatalogStore, journal: Journal, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._profiles = profiles
        self._catalog = catalog
        self._journal = journal
        self._now = now

    async def profile(self, merchant_id: str) -> Stored[BillingProfile]:
        """Read a merchant's billing profile. Raises Problem 404 for a merchant who does not bill."""
        return _found(await self._profiles.profile(merchant_id))

    async def put_profile(
        self, actor: Actor, merchant_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[BillingProfile]:
        """Create or replace a merchant's profile; with the first one it begins to bill. Raises Problem 400; 404 for a
        merchant that does not exist; 409 `state_invalid` for another anchor day once a month was closed; 412, 428."""
        merchant = await self._catalog.merchant(merchant_id)
        if merchant is None:
            raise not_found()
        before = await self._profiles.profile(merchant_id)
        begun = self._now() if before is None else before.value.billing_from
        profile = BillingProfile(**{**values, "merchant_id": merchant_id, "billing_from": begun})
        _refuse(_profile_faults(profile, self._now()))
        if profile.registrations and merchant.address is None:  # a tax invoice names it (EN 16931, BR-08)
            _refuse(iter([FieldError("registrations", "need the address of the merchant's own profile")]))
        registrations = tuple(
            each.model_copy(update={"number": check_registration(each.country, each.number)})
            for each in profile.registrations
        )
        profile = profile.model_copy(update={"registrations": registrations})
        if before is not None and before.value.anchor_day != profile.anchor_day:
            await self._check_nothing_closed(merchant_id)
        return await self._put(
            actor,
            noun="billing",
            partition=merchant_id,
            document=PROFILE,
            before=before,
            after=profile,
            if_match=if_match,
        )

    async def terms(self, merchant_id: str) -> Stored[Terms]:
        """Read a merchant's terms: the platform's own while nothing else was agreed. Raises Problem 404 for a merchant
        that does not exist."""
        if await self._catalog.merchant(merchant_id) is None:
            raise not_found()
        return await self._profiles.terms(merchant_id) or Stored(Terms(), "")

    async def put_terms(
        self, actor: Actor, merchant_id: str, commission_percent: Percent | None, if_match: str | None, reason: str
    ) -> Stored[Terms]:
        """Agree on a commission, from the next close on; None is the platform's commission. Raises Problem 404, 412,
        428."""
        stored = await self.terms(merchant_id)
        before = stored if stored.etag else None
        after = Terms(commission_percent=commission_percent)
        return await self._put(
            actor,
            noun="terms",
            partition=merchant_id,
            document=TERMS,
            before=before,
            after=after,
            if_match=if_match,
            reason=reason,
        )

    async def buyer(self, consumer_id: str) -> Stored[BuyerDetails]:
        """Read what a consumer wants on its invoices. Raises Problem 404 while a consumer has said nothing."""
        return _found(await self._profiles.buyer(consumer_id))

    async def put_buyer(
        self, actor: Actor, consumer_id: str, values: Mapping[str, Any], if_match: str | None
    ) -> Stored[BuyerDetails]:
        """Change what a consumer wants on the invoices that are issued from now on. Raises Problem 400, 412, 428."""
        details = BuyerDetails(**{**values, "consumer_id": consumer_id})
        _refuse(_buyer_faults(details))
        if details.tax_id:
            number = check_tax_id(details.address.country, details.tax_id)
            details = details.model_copy(update={"tax_id": number})
        before = await self._profiles.buyer(consumer_id)
        return await self._put(
            actor,
            noun="buyer",
            partition=consumer_id,
            document=BUYER,
            before=before,
            after=details,
            if_match=if_match,
            secret=PERSONAL,
        )

    async def _put(
        self,
        actor: Actor,
        *,
        noun: str,
        partition: str,
        document: str,
        before: Stored[M] | None,
        after: M,
        if_match: str | None,
        reason: str | None = None,
        secret: frozenset[str] = frozenset(),
    ) -> Stored[M]:
        """Create a document that does not exist yet, without `If-Match`; replace one that does, with it."""
        if before is not None:
            check_match(if_match, before.etag)
        elif if_match is not None:
            raise Problem(412, "precondition_failed", "There is nothing to replace yet: send it without `If-Match`.")
        action = f"{noun}.{'create' if before is None else 'update'}"
        old = None if before is None else before.value
        change = changed(actor, action, f"{noun}:{partition}", old, after, reason=reason, secret=secret)
        body = after.to_json()
        write = Create(document, body) if before is None else Replace(document, body, before.etag)
        etags = await self._journal.commit(BILLING, partition, [write], change)
        return Stored(after, etags[0])

    async def _check_nothing_closed(self, merchant_id: str) -> None:
        if await self._profiles.closed_until(merchant_id) is not None:
            raise Problem(409, "state_invalid", "The anchor day cannot change any more: a month was closed with it.")


def _found(stored: Stored[M] | None) -> Stored[M]:
    if stored is None:
        raise not_found()
    return stored


def _refuse(faults: Iterator[FieldError]) -> None:
    """Raises Problem 400 when there are any."""
    errors = tuple(faults)
    if errors:
        raise Problem(400, "request_invalid", "; ".join(f"`{each.field}` {each.rule}" for each in errors), errors)


def _profile_faults(profile: BillingProfile, now: datetime) -> Iterator[FieldError]:
    if profile.time_zone not in time_zones():
        yield FieldError("time_zone", "must be an IANA time zone, such as Asia/Kolkata")
    elif not counts_in_quarters(ZoneInfo(profile.time_zone), now):
        yield FieldError("time_zone", "must be one that counts in whole quarter hours")
    if _READS_AS_A_YEAR(profile.number_prefix):
        yield FieldError("number_prefix", "must not end in two digits: A26 and the year 27 are A and the year 2627")
    countries: set[str] = set()
    for index, registration in enumerate(profile.registrations):
        for fault in _registration_faults(registration, known=registration.country in countries):
            yield FieldError(f"registrations.{index}.{fault.field}", fault.rule)
        countries.add(registration.country)


def counts_in_quarters(zone: tzinfo, now: datetime) -> bool:
    """Whether days of a zone begin with one of the quarter hours in which usage is counted, for a year from now."""
    offsets = [(now + _YEAR / 12 * month).astimezone(zone).utcoffset() for month in range(13)]
    return not any(offset is None or offset % _QUARTER for offset in offsets)


def _registration_faults(registration: TaxRegistration, *, known: bool) -> Iterator[FieldError]:
    country, kind = registration.country, registration.kind
    fault = _rule(check_country, country)
    if fault is not None or known:
        yield FieldError("country", fault or "must not be that of another registration")
        return
    if (kind == "in_gst") != (country == "IN"):
        yield FieldError("kind", "must be in_gst for India, and for no other country")
    elif country in EU and kind != "vat":
        yield FieldError("kind", "must be vat in the EU")
    if kind == "in_gst" and round(registration.percent, _GST_DIGITS_MAX) != registration.percent:
        yield FieldError("percent", f"must have at most {_GST_DIGITS_MAX} digits after the point, being halved")
    fault = _rule(lambda number: check_registration(country, number), registration.number)
    if fault is not None:
        yield FieldError("number", fault)


def _buyer_faults(details: BuyerDetails) -> Iterator[FieldError]:
    country = details.address.country
    fault = _rule(lambda number: check_tax_id(country, number), details.tax_id) if details.tax_id else None
    if fault is not None:
        yield FieldError("tax_id", fault)
    elif country == "IN":
        yield from _state_faults(details.address, details.tax_id)


def _state_faults(address: Address, number: str) -> Iterator[FieldError]:
    """India's tax depends on the buyer's state, so that must be known, and one."""
    state = gst_state(address.region)
    registered = gst_state(number.strip()[:2]) if number else None
    if state is None and (address.region or registered is None):
        yield FieldError("address.region", "must be a state of India, by its name or code, such as IN-KA")
    elif state is not None and registered not in (None, state):
        yield FieldError("address.region", f"must be the state of the GSTIN, which is {registered}")


def _rule(check: Callable[[str], str], value: str) -> str | None:
    """Which rule a value breaks."""
    try:
        check(value)
    except ValueError as error:
        return str(error)
    return None
