"""What search engines read: schema.org as JSON-LD."""

from collections.abc import Sequence
from typing import Any

from shared.catalog.marketplace.details import PublicDetail
from shared.catalog.marketplace.search import Card
from shared.catalog.models import Merchant

_CONTEXT = "https://schema.org"
_TYPES = {"api": "WebAPI", "image": "SoftwareApplication"}


def service_data(
    detail: PublicDetail, public_url: str, url: str, description: str, image: str | None
) -> dict[str, Any]:
    """A service is what it is (`WebAPI` or `SoftwareApplication`); with a price also a `Product`, with its offer."""
    service, merchant = detail.service, detail.merchant
    provider = _organization(merchant, public_url)
    kind = _TYPES[service.type]
    data: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": kind if service.price_model is None else ["Product", kind],
        "name": service.name,
        "description": description,
        "url": url,
        "provider": provider,
    }
    if service.documentation_url is not None:
        data["documentation" if service.type == "api" else "softwareHelp"] = service.documentation_url
    if image is not None:
        data["image"] = image
    if service.category:
        data["category" if service.price_model is not None else "serviceType"] = service.category
    if service.tags:
        data["keywords"] = ", ".join(service.tags)
    if service.version and service.type == "image":
        data["softwareVersion"] = service.version
    if service.price_model is not None:
        data["brand"] = {"@type": "Brand", "name": merchant.name}
        data["offers"] = _offer(detail, url, provider)
    return data


def _offer(detail: PublicDetail, url: str, provider: dict[str, Any]) -> dict[str, Any]:
    """Usage prices are more than one number: the merchant's words say them, except that what is free costs 0."""
    service = detail.service
    offer: dict[str, Any] = {
        "@type": "Offer",
        "url": url,
        "availability": f"{_CONTEXT}/InStock",
        "category": service.price_model,
        "seller": provider,
    }
    if service.pricing:
        offer["description"] = service.pricing
    if service.price_model == "free":
        offer["price"] = "0"
    return offer


def merchant_data(merchant: Merchant, cards: Sequence[Card], public_url: str, url: str) -> dict[str, Any]:
    items = [
        {"@type": "ListItem", "position": number, "name": card.name, "url": f"{url}/{card.slug}"}
        for number, card in enumerate(cards, 1)
    ]
    return {
        "@context": _CONTEXT,
        "@type": "CollectionPage",
        "name": merchant.name,
        "url": url,
        "about": _organization(merchant, public_url),
        "mainEntity": {"@type": "ItemList", "itemListElement": items},
    }


def _organization(merchant: Merchant, public_url: str) -> dict[str, Any]:
    return {"@type": "Organization", "name": merchant.name, "url": f"{public_url}/marketplace/{merchant.slug}"}
