"""A small world with one of everything, and every kind of person, for tests of who may do what."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.access.models import Member, ProjectRole
from shared.alerts.models import Rule
from shared.alerts.store import rule_document
from shared.billing.invoices.store import invoice_document, note_document
from shared.billing.profiles.models import BuyerDetails
from shared.billing.profiles.store import BUYER
from shared.billing.store import BILLING
from shared.reports.models import Contents, Report, Schedule
from shared.reports.store import REPORTS, report_document, schedule_document
from shared.webhooks.models import Webhook
from shared.webhooks.owners import PLATFORM_OWNER
from shared.webhooks.store import ALERTS, webhook_document
from tests.support.api.harness import Api, Person
from tests.support.billing.document_samples import note
from tests.support.billing.invoice_samples import BERLIN, make_invoice

NOW = datetime(2026, 11, 1, tzinfo=UTC)
PERSONAS = (
    "nobody",
    "admin",
    "merchant",
    "other merchant",
    "tenant",
    "other tenant",
    "owner",
    "manager",
    "member",
    "member of another project",
    "removed member",
)


@dataclass
class World:
    """`ids` fills the parameters of a path: everything belongs to `merchant`, to `tenant`, or is in their project."""

    api: Api
    people: dict[str, Person]
    ids: dict[str, str] = field(default_factory=dict)

    def path(self, template: str) -> str:
        """Raises KeyError for a parameter that the world does not know."""
        return template.format(**self.ids)


async def make_world(api: Api) -> World:
    people = {"nobody": api.anonymous}
    for name in PERSONAS[1:]:
        people[name] = await api.sign_in(name, admin=name == "admin")
    await api.drain()
    world = World(api, people)
    await _market(world)
    await _tenant(world)
    await _alerts(world)
    await _billing(world)
    await _reports(world)
    return world


async def _runs(world: World, person: str, merchant_id: str, slug: str) -> None:
    await world.people[person].runs(merchant_id)
    account_id = world.people[person].account.id
    await world.api.builder.merchant(id=merchant_id, slug=slug, name=slug, account_ids=(account_id,))


async def _market(world: World) -> None:
    await _runs(world, "merchant", "mer_one", "one")
    await _runs(world, "other merchant", "mer_two", "two")
    openapi = "openapi/svc_one/one.json"
    await world.api.app.ports.blobs.put(openapi, b'{"openapi": "3.1.0", "paths": {}}', content_type="application/json")
    await world.api.builder.service("service-one", id="svc_one", merchant_id="mer_one", openapi=openapi, upstream=None)
    world.ids |= {"merchant_id": "mer_one", "service_id": "svc_one", "slug": "service-one", "merchant_slug": "one"}


async def _tenant(world: World) -> None:
    builder, tenant = world.api.builder, world.people["tenant"].account
    consumer_id = tenant.consumer_id
    await builder.consumer(id=consumer_id, name="Tenant", account_id=tenant.id)
    for project_id in ("prj_one", "prj_two"):
        await builder.project(project_id, consumer_id=consumer_id)
    roles: dict[str, tuple[str, ProjectRole]] = {
        "owner": ("prj_one", "owner"),
        "manager": ("prj_one", "manager"),
        "member": ("prj_one", "member"),
        "member of another project": ("prj_two", "manager"),
    }
    for person, (project_id, role) in roles.items():
        account = world.people[person].account
        member = Member(
            consumer_id=consumer_id,
            project_id=project_id,
            account_id=account.id,
            role=role,
            name=person,
            joined_at=NOW,
        )
        await builder.put(member)
    pseudonym = await world.api.app.access.pseudonyms.of("mer_one", consumer_id)
    await builder.grant(consumer_id=consumer_id, service_id="svc_one", merchant_id="mer_one", pseudonym=pseudonym)
    await builder.key(id="key_one", consumer_id=consumer_id, service_ids=("svc_one",), project_id="prj_one")
    world.ids |= {
        "consumer_id": consumer_id,
        "project_id": "prj_one",
        "key_id": "key_one",
        "pseudonym": pseudonym,
        "account_id": world.people["member"].account.id,
    }


async def _alerts(world: World) -> None:
    owners = (("consumer", world.ids["consumer_id"]), ("merchant", "mer_one"), ("platform", PLATFORM_OWNER))
    for kind, owner_id in owners:
        webhook = Webhook(
            id="whk_one", owner_id=owner_id, url="http://127.0.0.1:9/", events=("alert.fired",), created_at=NOW
        )
        rule = Rule.model_validate(
            {
                "id": "rul_one",
                "owner_kind": kind,
                "owner_id": owner_id,
                "name": "rule",
                "metric": "requests",
                "window": "day",
                "threshold": "1",
                "created_at": NOW,
            }
        )
        documents = world.api.app.ports.documents
        await documents.upsert(ALERTS, owner_id, webhook_document("whk_one"), webhook.to_json())
        await documents.upsert(ALERTS, owner_id, rule_document("rul_one"), rule.to_json())
    world.ids |= {"webhook_id": "whk_one", "rule_id": "rul_one"}


async def _billing(world: World) -> None:
    created_by = world.people["merchant"].account.id
    await world.api.builder.plan(begin=NOW, service_id="svc_one", merchant_id="mer_one", created_by=created_by)
    await world.api.builder.profile(NOW, merchant_id="mer_one", number_prefix="ONE")
    consumer_id, documents = world.ids["consumer_id"], world.api.app.ports.documents
    details = BuyerDetails(consumer_id=consumer_id, legal_name="Tenant", address=BERLIN)
    ids = {"merchant_id": "mer_one", "consumer_id": consumer_id, "pseudonym": world.ids["pseudonym"]}
    invoice = make_invoice(**ids)
    credited = note(invoice)
    for partition, document, body in (
        ("mer_one", invoice_document(invoice.id), invoice.to_json()),
        ("mer_one", note_document(credited.id), credited.to_json()),
        (consumer_id, BUYER, details.to_json()),
    ):
        await documents.upsert(BILLING, partition, document, body)
    world.ids |= {"number": "1", "invoice_id": invoice.id, "note_id": credited.id, "format": "csv"}


async def _reports(world: World) -> None:
    contents = Contents(name="report", format="csv")
    owners = (("consumer", world.ids["consumer_id"]), ("merchant", "mer_one"), ("platform", PLATFORM_OWNER))
    for kind, owner_id in owners:
        own = {"owner_kind": kind, "owner_id": owner_id, "contents": contents, "created_at": NOW, "created_by": "acc"}
        report = Report.model_validate(
            {"id": "rep_one", "start": NOW, "end": NOW, "status": "done", "blob": "reports/x/rep_one/1.csv", **own}
        )
        schedule = Schedule.model_validate({"id": "rsc_one", "month": "2099-01", "due": "2099-02", **own})
        documents = world.api.app.ports.documents
        await documents.upsert(REPORTS, owner_id, report_document("rep_one"), report.to_json())
        await documents.upsert(REPORTS, owner_id, schedule_document("rsc_one"), schedule.to_json())
    world.ids |= {"report_id": "rep_one", "schedule_id": "rsc_one"}
