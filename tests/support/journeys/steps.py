"""What a journey needs to have happened before it begins, each step as the person concerned takes it."""

import re
from dataclasses import dataclass
from typing import Any

from tests.support.journeys.people import CREATED, Market, Person


@dataclass(frozen=True)
class Shop:
    """A merchant with its person."""

    person: Person
    id: str
    slug: str

    @property
    def path(self) -> str:
        return f"/merchants/{self.id}"


def code_of(letter: str) -> str:
    """The invite code in the link of a mail."""
    found = re.search(r"[?&](?:invite|code)=(\S+)", letter)
    assert found, letter
    return found[1]


def open_shop(market: Market, admin: Person, slug: str) -> Shop:
    """A merchant who was invited, has registered and is active."""
    email = f"{slug}@example.com"
    admin.post("/admin/invites", {"email": email}, CREATED)
    code = code_of(market.mail(email, "invite"))
    person = market.sign_in(email)
    registered = person.post(
        "/merchant-registrations", {"invite_code": code, "slug": slug, "name": slug.title()}, CREATED
    )
    admin.post(f"/admin/merchants/{registered['id']}/activate", {"reason": "known to us"})
    return Shop(person, registered["id"], slug)


def offer(shop: Shop, admin: Person, slug: str, base_url: str, **fields: Any) -> dict[str, Any]:
    """A service that is approved."""
    draft = {"slug": slug, "name": slug.title(), "description": f"What {slug} does.", **fields}
    service: dict[str, Any] = shop.person.post(
        f"{shop.path}/services", {**draft, "upstream": {"base_url": base_url}}, CREATED
    )
    shop.person.post(f"/services/{service['id']}/submit")
    return dict(admin.post(f"/admin/services/{service['id']}/approve"))


def subscribe(consumer: Person, admin: Person, service_id: str) -> None:
    """A consumer who asked for a service and got it."""
    consumer.post(f"{consumer.tenant}/access-requests", {"service": service_id, "note": "for our app"}, CREATED)
    decide = f"/admin{consumer.tenant}/grants/{service_id}"
    assert admin.post(f"{decide}/approve", {"reason": "fine"})["status"] == "approved"


def make_key(person: Person, *service_ids: str, home: str | None = None, **fields: Any) -> dict[str, Any]:
    """A key of the person's own consumer, or of the project at `home`. Its clear text is in `key`, this once."""
    asked = {"name": "first key", "service_ids": service_ids, **fields}
    made: dict[str, Any] = person.post(f"{home or person.tenant}/keys", asked, CREATED)
    return made
