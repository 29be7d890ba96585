"""Fields that many requests and answers have, each described once: in a body, in a path and in a query alike."""

from typing import Annotated

from pydantic import AwareDatetime, Field

ID_CHARACTERS_MAX = 64

AccountId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX, description="Id of an account; an account is one person.", examples=["acc_moe"]
    ),
]
ConsumerId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX,
        description=("Id of a consumer, an organisation that calls services. Your own is `consumer_id` in `GET /me`."),
        examples=["con_acme"],
    ),
]
MerchantId = Annotated[
    str,
    Field(
        max_length=ID_CHARACTERS_MAX,
        description="Id of a merchant. `GET /me/merchants` lists yours.",
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
        description="Id of an API key. It is not secret.",
        examples=["key_019aa5b3c1f2"],
    ),
]
InviteId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an invite (not its code).")]
SessionId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of one of your sessions.")]
WebhookId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a webhook.")]
DeliveryId = Annotated[
    str,
    Field(max_length=ID_CHARACTERS_MAX, description="Id of a delivery, which is the value of its `webhook-id` header."),
]
AlertRuleId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an alert rule.")]
InvoiceId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of an invoice; not its number.")]
CreditNoteId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a credit note; not its number.")]
ReportId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a report.")]
ReportScheduleId = Annotated[str, Field(max_length=ID_CHARACTERS_MAX, description="Id of a report schedule.")]
Pseudonym = Annotated[
    str,
    Field(
        description=(
            "The consumer's pseudonym, which is stable for one merchant and different for every other merchant."
        ),
        examples=["cus_a2c4e6g7i3k5m7o2q4s6u7w3y5"],
    ),
]

CreatedAt = Annotated[AwareDatetime, Field(description="Time of creation.")]
NextCursor = Annotated[
    str | None,
    Field(description="Value to send as `cursor` for the next page of the same query; null on the last page."),
]
Reason = Annotated[
    str,
    Field(
        min_length=1,
        max_length=1_000,
        description=(
            "The reason, in the words of whoever decides. It is kept in the audit log, and mails about the decision"
            " quote it."
        ),
        examples=["Agreed with the customer on 3 March"],
    ),
]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-03-01T09:30:00.000Z"])]
"""A time that a view holds as text, RFC 3339 in UTC; of `AwareDatetime` pydantic says so itself. Days are
`shared.kernel.periods.Day`."""
