"""The one table of who may do what: action × role × relation to the object. Every route names one action of it.

Relations of an account to the object that a route's path names:

- `any`      as the platform's operator, to everything (admins only);
- `self`     to its own account, and to what every signed-in person may do;
- `own`      a merchant's people to the merchant and its services; a consumer to its own tenant;
- `owner`, `manager`, `member`  by role in the project that the path (or the key in it) names; `manager` is what people
  call a project's admin, a word that is taken.

An account without any relation to the object gets 404, as if it did not exist; one whose relation is not enough, 403.
"""

from collections.abc import Mapping
from typing import Literal

from shared.identity.models import Role

Relation = Literal["any", "self", "own", "owner", "manager", "member"]
RoleRelations = frozenset[tuple[Role, Relation]]


def _may(*, admin: bool = False, merchant: bool = False, everyone: bool = False, consumer: str = "") -> RoleRelations:
    """`consumer` lists relations, separated by spaces."""
    grants: set[tuple[Role, Relation]] = set()
    if admin:
        grants.add(("admin", "any"))
    if merchant:
        grants.add(("merchant", "own"))
    if everyone:
        grants |= {("admin", "self"), ("merchant", "self"), ("consumer", "self")}
    for relation in consumer.split():
        grants.add(("consumer", relation))  # type: ignore[arg-type]  # the lint test checks the table's words
    return frozenset(grants)


_ADMIN = _may(admin=True)
_MERCHANT = _may(merchant=True)
_SIGNED_IN = _may(everyone=True)
_TENANT = _may(consumer="own")
_LEADERS = _may(consumer="own owner manager")
_TEAM = _may(consumer="own owner manager member")

PERMISSIONS: Mapping[str, RoleRelations] = {
    # identity
    "account.read_own": _SIGNED_IN,
    "account.update_own": _SIGNED_IN,
    "session.list": _SIGNED_IN,
    "session.end": _SIGNED_IN,
    "account.list": _ADMIN,
    "account.read": _ADMIN,
    "account.suspend": _ADMIN,
    "account.set_admin": _ADMIN,
    "account.end_sessions": _ADMIN,
    "invite.create": _ADMIN,
    "invite.list": _ADMIN,
    "invite.revoke": _ADMIN,
    "merchant.register": _SIGNED_IN,
    "merchant.list_own": _SIGNED_IN,
    # catalog: merchants
    "merchant.list": _ADMIN,
    "merchant.read": _may(admin=True, merchant=True),
    "merchant.update": _MERCHANT,
    "merchant.decide": _ADMIN,
    # catalog: services
    "service.create": _MERCHANT,
    "service.list": _may(admin=True, merchant=True),
    "service.read": _may(admin=True, merchant=True),
    "service.update": _MERCHANT,
    "service.submit": _MERCHANT,
    "service.retire": _MERCHANT,
    "service.test_connection": _MERCHANT,
    "service.import_openapi": _MERCHANT,
    "service.review": _ADMIN,
    "service.decide": _ADMIN,
    # access: consumers and grants
    "consumer.list": _ADMIN,
    "consumer.read": _may(admin=True, consumer="own"),
    "consumer.update": _TENANT,
    "consumer.decide": _ADMIN,
    "grant.request": _TENANT,
    "grant.request_for_project": _LEADERS,
    "grant.list": _may(admin=True, consumer="own owner manager member"),
    "grant.read": _may(admin=True, consumer="own owner manager member"),
    "grant.leave": _TENANT,
    "grant.restrict": _TENANT,
    "grant.review": _ADMIN,
    "grant.decide": _ADMIN,
    "subscriber.list": _MERCHANT,
    "subscriber.restrict": _MERCHANT,
    # access: keys
    "key.create": _LEADERS,
    "key.list": _may(admin=True, consumer="own owner manager member"),
    "key.list_any": _ADMIN,
    "key.read": _may(admin=True, consumer="own owner manager member"),
    "key.update": _LEADERS,
    "key.set_enabled": _LEADERS,
    "key.rotate": _LEADERS,
    "key.revoke": _LEADERS,
    "key.force_rotate": _ADMIN,
    "key.revoke_for_service": _MERCHANT,
    "key.refusals": _TEAM,
    # access: projects and teams
    "project.create": _TENANT,
    "project.list": _TENANT,
    "project.list_joined": _SIGNED_IN,
    "project.read": _TEAM,
    "project.update": _LEADERS,
    "project.delete": _may(consumer="own owner"),
    "project.transfer": _may(consumer="own owner"),
    "member.list": _TEAM,
    "member.invite": _LEADERS,
    "member.update": _LEADERS,
    "member.remove": _LEADERS,
    "member.leave": _may(consumer="owner manager member"),
    "member.accept": _SIGNED_IN,
    # metering
    "usage.read": _TEAM,
    "usage.read_merchant": _MERCHANT,
    "usage.read_platform": _ADMIN,
    "alert.manage": _TENANT,
    "alert.manage_merchant": _MERCHANT,
    "alert.manage_platform": _ADMIN,
    "webhook.manage": _TENANT,
    "webhook.manage_merchant": _MERCHANT,
    "webhook.manage_platform": _ADMIN,
    # billing
    "plan.manage": _MERCHANT,
    "plan.read": _may(admin=True, merchant=True),
    "invoice.read": _may(admin=True, merchant=True),
    "invoice.manage": _MERCHANT,
    "invoice.list": _ADMIN,
    "billing.read": _may(admin=True, merchant=True),
    "billing.manage": _MERCHANT,
    "terms.manage": _ADMIN,
    "buyer.manage": _TENANT,
    "invoice.read_own": _may(admin=True, consumer="own"),
    # reports
    "report.manage": _TENANT,
    "report.manage_merchant": _MERCHANT,
    "report.manage_platform": _ADMIN,
    # audit and governance
    "audit.read": _ADMIN,
    "settings.read": _ADMIN,
    "settings.update": _ADMIN,
}


def decide(action: str, held: frozenset[tuple[Role, Relation]]) -> tuple[Role, Relation] | None:
    """Find the (role, relation) by which the action is allowed to somebody who holds these, or None. KeyError for an
    action that the table does not have."""
    allowed = PERMISSIONS[action] & held
    return min(allowed) if allowed else None


PUBLIC_ROUTES: Mapping[str, str] = {
    "GET /api/v1/usage/summary": "the API key is the authorisation",
    "GET /api/v1/usage/events": "the API key is the authorisation",
    "POST /api/v1/consume/explain": "the API key is the authorisation",
    "POST /api/v1/keys/leaked": "the signature over the body is the authorisation",
    "GET /api/v1/catalog/services": "what is offered is public",
    "GET /api/v1/catalog/services/{slug}": "what is offered is public; a private service asks who looks",
    "GET /api/v1/catalog/services/{slug}/plan": "what is offered is public; a private service asks who looks",
    "GET /api/v1/catalog/facets": "what is offered is public",
    "GET /api/v1/catalog/merchants/{slug}": "merchants who offer something are public",
    "GET /api/v1/catalog/logos/{name}": "pictures of the public catalogue",
    "POST /api/v1/pricing/preview": "a calculation on what is sent: nothing is read or kept",
    "GET /api/docs": "documentation",
    "GET /api/docs/{name}": "documentation",
}
"""Routes that anybody may call, with the reason."""
