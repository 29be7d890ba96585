"""What the document says of the API as a whole, and of its groups of operations, in the order to read them in."""

from typing import Any

TITLE = "AMS"
DESCRIPTION = """\
A marketplace and metering platform: merchants publish services, consumers call them with API keys, and every call
becomes one usage event that is counted once and invoiced by the merchant's prices.

**Authentication.** People send an access token of the sign-in provider as `Authorization: Bearer …`; each operation
names the roles that may call it, and the action of the permission table that it requires. Programs send an API key in
`X-AMS-Key`.

**Errors** are problem documents (RFC 9457) with a stable `code`, which docs/errors.md explains. Objects of other
tenants are answered with 404. Unknown fields and query parameters are refused with 400.

**Changes** of an existing object require `If-Match` with the `ETag` that you read, so that no change is lost. Every
POST of a signed-in account takes an `Idempotency-Key`.

**Lists** have at most `limit` items in a page; `next_cursor` is null on the last page. Times are UTC; amounts of money
and other exact numbers are decimals as text."""

CONTACT = {"name": "The operators of this installation"}
SERVERS = [{"url": "/", "description": "The installation that serves this document."}]

TAGS: tuple[tuple[str, str], ...] = (
    (
        "consume",
        "Report usage, or call a service through AMS. Also: why a call would be refused.",
    ),
    ("usage", "Usage of a key, a consumer, a project, a merchant or the platform, as JSON or CSV."),
    ("keys", "API keys of consumers and projects: create, limit, rotate, disable, revoke, and report leaked ones."),
    ("access", "Grants: a consumer requests access to a service, an admin approves, denies or withdraws it."),
    ("projects", "Projects group keys and people of one consumer: projects, their members and invites."),
    ("consumers", "Consumers: the organisations that call services and pay for them."),
    ("account", "Your own account and sessions."),
    ("catalog", "The public catalogue: services, their merchants and prices."),
    ("pages", "The marketplace as HTML pages, for people and search engines, and this API reference."),
    ("merchants", "Merchants: registration, profile and logo, and the admins' decisions about them."),
    ("services", "Services of a merchant: drafts, changes under review, upstreams, OpenAPI documents, versions."),
    ("service reviews", "The admins' decisions about services."),
    ("subscribers", "The consumers of a merchant's services, by pseudonym."),
    ("prices", "Price plans in versions, and a price calculator."),
    ("billing setup", "How a merchant bills, the terms agreed with it, and a consumer's billing details."),
    ("invoices", "Month closes, invoices, payments and credit notes, with their documents."),
    ("reports", "Usage reports as PDF and CSV, once or monthly."),
    ("downloads", "Download of reports and invoices by signed, short-lived links."),
    ("alerts", "Rules that send a notification when usage reaches a threshold."),
    ("webhooks", "Webhooks: URLs that events are posted to (Standard Webhooks), and the log of deliveries."),
    ("invites", "Invites to become a merchant."),
    ("accounts", "All accounts, for admins."),
    ("audit", "The audit log, for admins: who changed what, when and why."),
    ("platform settings", "The platform's settings, which admins change while AMS runs."),
    ("health", "Health and metrics of the installation, for its operators."),
)


def tags() -> list[dict[str, Any]]:
    """Make the document's list of tags."""
    return [{"name": name, "description": text} for name, text in TAGS]
