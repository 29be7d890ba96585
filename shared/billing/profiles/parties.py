"""Who bills whom: sellers and buyers as they are frozen into invoices."""

from shared.billing.profiles.models import BillingProfile, BuyerDetails
from shared.billing.tax.models import Party
from shared.catalog.models import Merchant


def seller_party(merchant: Merchant, profile: BillingProfile) -> Party:
    """Freeze a merchant as the seller of an invoice."""
    return Party(
        name=merchant.legal_name or merchant.name,
        address=merchant.address,
        tax_id=merchant.tax_id,
        registrations=profile.registrations,
    )


def buyer_party(details: BuyerDetails | None, pseudonym: str, shared_name: str | None) -> Party:
    """Freeze a consumer as the buyer of an invoice: as it wants to be named there; without a wish, its name where it
    shares that with the merchant, or the pseudonym."""
    if details is None:
        return Party(name=shared_name or pseudonym)
    return Party(name=details.legal_name, address=details.address, tax_id=details.tax_id)
