"""Who taxes whom, and what an invoice says of it: registrations, seller and buyer, lines of tax."""

from typing import Annotated, Literal

from pydantic import Field

from shared.catalog.models import Address
from shared.kernel.documents import StoredModel
from shared.kernel.http.schemas import StoredView
from shared.kernel.money import Amount, Percent


class TaxRegistration(StoredView):
    """A tax registration of a merchant, one for each country. For the EU's One-Stop-Shop, `number` may be of another EU
    country. With `in_gst`, CGST and SGST are half of the rate each within a state; IGST is the whole rate between
    states."""

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    """Country code (ISO 3166-1 alpha-2)."""
    kind: Literal["vat", "gst", "in_gst"]
    """Kind of tax: `vat` for value added taxes, `gst` for goods and services taxes, `in_gst` for India's GST."""
    number: Annotated[str, Field(min_length=2, max_length=40)]
    """Number of the registration, validated by the country's rule."""
    percent: Percent
    """Tax rate for buyers in that country, in percent."""


class Party(StoredModel):
    """Seller or buyer, frozen into an invoice with all that its tax depends on: a seller has registrations."""

    name: str
    address: Address | None = None
    tax_id: str = ""
    registrations: tuple[TaxRegistration, ...] = ()


class TaxLine(StoredView):
    """A tax at one rate, calculated on the sum of all amounts that it applies to and rounded once (EN 16931
    BR-CO-17)."""

    name: str
    """Name of the tax, such as `VAT` or `CGST`."""
    category: Literal["S", "Z", "E", "AE", "G", "O"]
    """Tax category (UNCL 5305): S standard, Z zero, E exempt, AE reverse charge, G export, O outside scope."""
    percent: Percent
    """Tax rate in percent."""
    taxable: Amount
    """Amount that the tax applies to."""
    amount: Amount
    """Amount of the tax, rounded to the currency's minor unit."""
    note: str = ""
    """Text that the law requires on the invoice, such as the reason for no tax; empty is none."""
