"""Examples of request bodies, by the schema's name: what a reader of the API's reference edits and sends."""

from collections.abc import Mapping
from typing import Any

_REASON = {"reason": "Agreed with the customer on 3 March"}
_KEY = {
    "name": "Production",
    "purpose": "Checkout of the web shop",
    "service_ids": ["svc_weather"],
    "ttl_days": 90,
    "limits": {"per_minute": 600, "quota_per_month": 100_000},
    "networks": ["192.0.2.0/24"],
}
_ADDRESS = {"lines": ["Hauptstr. 1"], "city": "Berlin", "postal_code": "10115", "country": "DE"}
_PER_UNIT = {"id": "calls", "name": "API calls", "metric": "requests", "model": "per_unit", "unit_price": "0.01"}
_OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Weather", "version": "1.0.0"},
    "paths": {"/live": {"get": {"summary": "Weather now", "responses": {"200": {"description": "The weather."}}}}},
}

REQUEST_EXAMPLES: Mapping[str, Any] = {
    "PlatformSettingsChange": {"invite_days": 14, "reason": "Merchants asked for more time"},
    "AccountChange": {"name": "Ann Example"},
    "DecisionReason": _REASON,
    "AdminRole": {"admin": True, **_REASON},
    "ConsumerChange": {"name": "Example Shop", "shares_name_with": ["mer_meteo"]},
    "AccessRequest": {"service": "weather", "note": "For the forecast on our start page."},
    "ProjectAccessRequest": {"service": "weather", "note": "For the forecast on our start page."},
    "GrantProjects": {"project_ids": ["prj_shop"]},
    "GrantApproval": _REASON,
    "SubscriberRestriction": {"service_ids": ["svc_weather"], "reason": "Invoices of two months are open"},
    "KeyRevocation": {"service_ids": ["svc_weather"], "reason": "The key was used by somebody else"},
    "NewKey": {**_KEY, "project_id": "prj_shop"},
    "NewProjectKey": _KEY,
    "KeyChange": {"name": "Production, new shop", "limits": {"per_minute": 1_200}},
    "KeyDisabling": {"reason": "The shop is closed for a week"},
    "KeyRotation": {"overlap_hours": 24},
    "NewProject": {"name": "Web shop", "service_ids": ["svc_weather"]},
    "ProjectChange": {"description": "The shop and its apps."},
    "MemberChange": {"role": "manager"},
    "ProjectTransfer": {"account_id": "acc_moe"},
    "NewProjectInvite": {"email": "moe@example.com", "role": "member"},
    "InviteAcceptance": {"code": "the-code-of-the-link"},
    "NewMerchantInvite": {"email": "sales@example.com", "note": "Met at the fair", "days": 14},
    "NewMerchant": {
        "invite_code": "the-code-of-the-link",
        "slug": "meteo",
        "name": "Meteo Works",
        "legal_name": "Meteo Works GmbH",
        "address": _ADDRESS,
    },
    "MerchantChange": {"legal_name": "Meteo Works SE", "address": _ADDRESS},
    "NewService": {
        "slug": "weather",
        "name": "Weather",
        "description": "The weather of any place, now and for ten days.",
        "category": "weather",
        "tags": ["forecast"],
        "formats": ["json"],
        "limits": {"per_minute": 600},
        "upstream": {"base_url": "https://api.example.com/v1"},
    },
    "ServiceChange": {"description": "The weather of any place, now and for two weeks.", "notes": "Two weeks"},
    "OptionalReason": _REASON,
    "UpstreamSecret": {"header": "Authorization", "value": "Bearer a-token-of-the-upstream"},
    "ConnectionInput": {"method": "GET", "path": "/live"},
    "NewServiceVersion": {"version": "2.1.0", "notes": "Forecasts for two weeks."},
    "VisibilityOverride": {"visibility": "unlisted", **_REASON},
    "ExplainInput": {"service": "weather", "way": "call", "source_address": "192.0.2.7"},
    "PlanInput": {"name": "Standard", "currency": "EUR", "charges": [_PER_UNIT]},
    "BillingProfileInput": {
        "number_prefix": "METE",
        "time_zone": "Europe/Berlin",
        "payment_terms_days": 30,
        "payment_details": "IBAN DE02 1203 0000 0000 2020 51",
        "registrations": [],
    },
    "TermsInput": {"commission_percent": "18", **_REASON},
    "BuyerInput": {"legal_name": "Example Shop GmbH", "address": _ADDRESS, "email": "invoices@example.com"},
    "PricePreviewInput": {"charge": _PER_UNIT, "usage": {"quantity": "1200"}, "currency": "EUR"},
    "PaymentInput": {"amount": "12.50", "received_on": "2026-04-15", "reference": "Bank statement 7"},
    "CreditNoteInput": {"amount": "12.50", "reason": "An hour without service on 3 March"},
    "AlertRuleInput": {
        "name": "Many requests in a day",
        "metric": "requests",
        "window": "day",
        "threshold": "10000",
        "service_id": "svc_weather",
    },
    "AlertRuleChange": {"threshold": "20000"},
    "WebhookInput": {"url": "https://example.com/ams-events", "events": ["alert.fired", "report.ready"]},
    "WebhookChange": {"status": "disabled"},
    "ReportInput": {"name": "Usage of March", "from": "2026-03-01", "to": "2026-04-01", "by": ["service", "day"]},
    "importOpenapi": _OPENAPI,
    "reportLeakedKeys": [
        {"token": "ams_live_0123456789", "type": "ams_key", "url": "https://example.com/blob", "source": "content"}
    ],
}
"""Of a body without a schema of its own, by the operation's id."""


def add_request_example(operation: dict[str, Any]) -> None:
    """Give the JSON body of an operation its example. Raises KeyError for one that has none, so that none is
    forgotten."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is not None and not {"example", "examples"} & content.keys():
        schema = content["schema"].get("$ref", "").rsplit("/", 1)[-1]
        content["examples"] = {"request": {"value": REQUEST_EXAMPLES[schema or operation["operationId"]]}}
