"""Stored billing profiles of merchants, their terms with the platform, and buyers' details."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from shared.billing.tax.models import TaxRegistration
from shared.catalog.models import Address
from shared.kernel.documents import Identifier, StoredModel
from shared.kernel.money import Percent


class BillingProfile(StoredModel):
    """How a merchant bills, under `profile`. Without one nothing is closed.

    `number_prefix` begins its invoice numbers: `{prefix}{financial year}-{six digits}`, at most 16 characters (India's
    CGST Rule 46(b)). `financial_year_month` is the month in which its financial year begins. The anchor day cannot be
    changed once a month was closed; another time zone holds for the periods that are not closed yet, of which the first
    begins where the last closed one ended. `payment_details` are printed as they are.
    """

    kind: Literal["profile"] = "profile"
    merchant_id: Identifier
    time_zone: str = "UTC"
    anchor_day: Annotated[int, Field(ge=1, le=31)] = 1
    number_prefix: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,4}$")]
    financial_year_month: Annotated[int, Field(ge=1, le=12)] = 1
    payment_terms_days: Annotated[int, Field(ge=0, le=365)] = 30
    payment_details: Annotated[str, Field(max_length=1_000)] = ""
    footer: Annotated[str, Field(max_length=1_000)] = ""
    registrations: Annotated[tuple[TaxRegistration, ...], Field(max_length=50)] = ()
    billing_from: AwareDatetime
    """When the first profile was made: the period that has it is the first that is billed, and as a whole."""


class Terms(StoredModel):
    """What an admin agreed with a merchant, under `terms`. None: the platform's own commission."""

    kind: Literal["terms"] = "terms"
    commission_percent: Percent | None = None


class BuyerDetails(StoredModel):
    """What a consumer wants on its invoices, under `buyer` in its own partition of `billing`. Merchants who bill it see
    it there; without, an invoice names the consumer by its pseudonym."""

    kind: Literal["buyer"] = "buyer"
    consumer_id: Identifier
    legal_name: Annotated[str, Field(min_length=1, max_length=200)]
    address: Address
    tax_id: Annotated[str, Field(max_length=40)] = ""
    email: Annotated[str, Field(max_length=254)] | None = None
    """Where invoices are sent; None: to the consumer's account."""
