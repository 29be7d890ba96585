"""Who taxes whom, and what an invoice says of it: registrations, seller and buyer, lines of tax."""

from typing import Annotated, Literal

from pydantic import Field

from shared.catalog.models import Address
from shared.kernel.documents import StoredModel
from shared.kernel.http.schemas import StoredView
from shared.kernel.money import Amount, Percent


class TaxRegistration(StoredView):
    """Where a merchant is registered, once per country. `country` is ISO 3166-1 alpha-2; `number` is checked by the
    country's own rule, or is that of another EU state for the One-Stop-Shop. `percent` is what buyers in that country
    pay; `in_gst` is India's: of the whole rate CGST and SGST are half each within a state, IGST is all of it between
    states."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    """Country by ISO 3166-1 alpha-2."""
    kind: Literal["vat", "gst", "in_gst"]
    """`vat` in the EU and alike, `gst` for goods and services taxes, `in_gst` for India's."""
    number: Annotated[str, Field(min_length=2, max_length=40)]
    """The registration's number, checked by the country's own rule."""
    percent: Percent
    """What buyers in that country pay."""


class Party(StoredModel):
    """Seller or buyer, frozen into an invoice with all that its tax depends on: a seller has registrations."""

    name: str
    address: Address | None = None
    tax_id: str = ""
    registrations: tuple[TaxRegistration, ...] = ()


class TaxLine(StoredView):
    """One rate of one tax on all that it applies to, rounded once (EN 16931 BR-CO-17). `category` is UNCL 5305's: S
    standard, Z zero, E exempt, AE reverse charge, G export, O outside scope."""

    name: str
    """What the tax is called, such as `VAT` or `CGST`."""
    category: Literal["S", "Z", "E", "AE", "G", "O"]
    """UNCL 5305's: S standard, Z zero, E exempt, AE reverse charge, G export, O outside scope."""
    percent: Percent
    """The rate."""
    taxable: Amount
    """What it applies to."""
    amount: Amount
    """What the tax comes to, rounded to the currency's minor unit."""
    note: str = ""
    """What the law wants printed, such as the reason for no tax; empty is nothing."""
