"""Fields that many requests and answers have, each described once: in a body, in a path and in a query alike."""

from typing import Annotated

from pydantic import AwareDatetime, Field

ID_CHARACTERS_MAX = 64

AccountId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an account, which is a person.", examples=["acc_moe"])
]
ConsumerId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX,
        description="Id of a consumer: a tenant on the consuming side, whose own one everybody finds at `/me`.",
        examples=["con_acme"],
    ),
]
MerchantId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX,
        description="Id of a merchant; `/me/merchants` lists one's own.",
        examples=["mer_meteo"],
    ),
]
ServiceId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a service, not its slug.", examples=["svc_weather"])
]
ProjectId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a project of the consumer.", examples=["prj_shop"])
]
KeyId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX,
        description="Id of an API key, which tells nothing of its secret.",
        examples=["key_019aa5b3c1f2"],
    ),
]
InviteId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an invite, from the list of them; not its code.")
]
SessionId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a session, from the list of one's own.")
]
WebhookId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a webhook of this owner.")]
DeliveryId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a delivery: its `webhook-id` header.")
]
AlertRuleId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an alert rule of this owner.")]
InvoiceId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an invoice; not its number.")]
CreditNoteId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a credit note; not its number.")]
ReportId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a report of this owner.")]
ReportScheduleId = Annotated[
    str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a schedule of monthly reports of this owner.")
]
Pseudonym = Annotated[
    str,
    Field(
        description="What a merchant knows a consumer by: stable for this merchant, and another for each other one.",
        examples=["cus_a2c4e6g7i3k5m7o2q4s6u7w3y5"],
    ),
]

CreatedAt = Annotated[AwareDatetime, Field(description="When it was created.")]
NextCursor = Annotated[
    str | None,
    Field(description="What to send as `cursor` for the next page of the same query; null on the last page."),
]
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1_000,
        description="Why, in the words of whoever decides: those concerned are told, and the audit log keeps it.",
        examples=["Agreed with the customer on 3 March"],
    ),
]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T09:30:00.000Z"])]
"""A time that a view holds as text, RFC 3339 in UTC; of `AwareDatetime` pydantic says so itself. Days are
`shared.kernel.periods.Day`."""
