"""What the document says of the API as a whole, and of its groups of operations, in the order to read them in."""

from typing import Any

TITLE = "AMS"
DESCRIPTION = """\
A marketplace and metering platform: merchants publish services, consumers call them with API keys, and every call
becomes one usage event that is counted once and invoiced by the merchant's prices.

**Who calls.** People send an access token of the sign-in provider as `Authorization: Bearer …`; each operation says
which roles may, by the action that it asks the permission table for. Programs send an API key in `X-AMS-Key`.

**Errors** are problem documents (RFC 9457) with a stable `code`, explained in docs/errors.md. What belongs to somebody
else does not exist (404). Fields and query parameters that an operation does not have are refused (400).

**Changes** that could lose somebody else's want the `ETag` that was read, in `If-Match`. POST takes an
`Idempotency-Key`.

**Lists** have at most `limit` items a page; `next_cursor` is null on the last. Times are UTC, amounts and other exact
numbers are decimals in text."""

CONTACT = {"name": "The operators of this installation"}
SERVERS = [{"url": "/", "description": "The installation that serves this document."}]

TAGS: tuple[tuple[str, str], ...] = (
    (
        "consume",
        "The one way in for usage: reports of it, and calls that AMS forwards. And why a call would be refused.",
    ),
    ("usage", "What was used: by a key's holder, a consumer, a project, a merchant, the platform. As JSON or CSV."),
    ("keys", "API keys of consumers and projects: made, limited, rotated, disabled, revoked, reported as leaked."),
    ("access", "Grants: a consumer asks for a service, the platform approves, denies or withdraws."),
    ("projects", "Keys and people of one consumer that belong together: projects, their members and invites."),
    ("consumers", "Tenants on the consuming side."),
    ("account", "One's own account and sessions."),
    ("catalog", "The public catalogue: services to find, and what is said of them and their merchants."),
    ("pages", "The same as HTML pages for people and search engines, and this description to read and try."),
    ("merchants", "Merchants: registration, profile and logo, and what operators decide about them."),
    (
        "services",
        "A merchant's services: drafts, changes under review, upstreams, OpenAPI documents, versions.",
    ),
    ("service reviews", "What operators decide about services."),
    ("subscribers", "A merchant's consumers, by pseudonym."),
    ("prices", "Price plans in versions, and a calculator."),
    ("billing setup", "How a merchant bills, what was agreed on with it, and what a consumer wants on its invoices."),
    ("invoices", "Closes of months, invoices, payments and credit notes, with their documents."),
    ("reports", "Usage reports as PDF and CSV, once or monthly."),
    ("downloads", "Documents by link."),
    ("alerts", "Rules that tell when usage reaches a threshold."),
    ("webhooks", "Addresses that events are posted to (Standard Webhooks), and the log of deliveries."),
    ("invites", "Invites to become a merchant."),
    ("accounts", "Operators: everybody's accounts."),
    ("audit", "Operators: who changed what, when and why."),
    ("platform settings", "Operators: what they decide while AMS runs."),
    ("health", "Whether the installation can work, and its metrics."),
)


def tags() -> list[dict[str, Any]]:
    """The document's list of tags."""
    return [{"name": name, "description": text} for name, text in TAGS]
