"""What an invoice rests on, and tells its buyer: the plans and records of what was used or subscribed to, no others."""

from datetime import UTC, datetime

from shared.billing.documents.json import render_json
from shared.metering.events import UsageEvent
from tests.support.billing.books import Books
from tests.support.embedded import usage_event
from tests.support.market import PER_REQUEST

FEE = {**PER_REQUEST, "base_fee": "5"}


async def test_prices_of_what_only_others_use_are_not_told(books: Books) -> None:
    """A private service is negotiated with somebody else."""
    await books.builder.service(id="svc_private", slug="private", name="Only for Globex")
    await books.price({**PER_REQUEST, "unit_price": "0.007"}, service_id="svc_private")
    await books.subscribe("con_2", "svc_private")
    await books.use(3)
    await books.count(_private_use())
    await books.closer.run()
    by_consumer = {invoice.consumer_id: invoice for invoice in await books.invoices()}
    for told, other in (("con_1", "svc_private"), ("con_2", "svc_maps")):
        invoice = by_consumer[told]
        assert other not in render_json(invoice).decode()
        assert invoice.plans
        assert invoice.records[0].service_ids == tuple({used.plan.service_id for used in invoice.plans})


def _private_use() -> UsageEvent:
    time = "2026-03-10T08:00:00.000Z"
    return usage_event(
        "p", time=time, received_at=time, consumer_id="con_2", api_key_id="key_2", service_id="svc_private"
    )


async def test_a_service_that_was_subscribed_to_and_not_used_is_told(books: Books) -> None:
    """Its records, of which there are none, are why nothing else is billed for it."""
    await books.price(FEE)
    await books.closer.run()
    [invoice] = await books.invoices()
    assert [used.plan.service_id for used in invoice.plans] == ["svc_maps"]
    assert (invoice.records[0].count, invoice.records[0].service_ids) == (0, ("svc_maps",))


async def test_plans_of_many_services_do_not_make_invoices_larger(books: Books) -> None:
    """A document has a size; all plans of a merchant together may have another."""
    await books.use(3)
    tiers = [{"up_to": str(bound), "unit_price": "0.000123456789"} for bound in range(1, 100)]
    charge = {
        "name": "calls" * 20,
        "metric": "requests",
        "model": "graduated",
        "tiers": [*tiers, {"up_to": None, "unit_price": "1"}],
    }
    for number in range(40):
        charges = ({**charge, "id": f"c{each}"} for each in range(20))
        await books.price(*charges, service_id=f"svc_other{number}")
    assert await books.closer.run() == 1
    [invoice] = await books.invoices()
    assert len(invoice.to_json()) < 10_000


async def test_who_subscribed_in_one_corrected_month_did_not_in_another(books: Books) -> None:
    """January's fee was for January: late usage of February does not make it due for February too."""
    books.begins = datetime(2026, 1, 1, tzinfo=UTC)
    await books.bill()
    await books.price(FEE, service_id="svc_geo")
    await books.builder.service(id="svc_geo", slug="geo", name="Geo")
    await books.subscribe(service_id="svc_geo")
    await books.use(1, "2026-01-10")
    books.time.moment = datetime(2026, 2, 2, 1, tzinfo=UTC)
    assert await books.closer.run() == 1

    await books.subscribe(service_id="svc_geo", status="withdrawn")
    await books.use(1, "2026-02-10")
    await books.use(2, "2026-01-11")  # late
    books.time.moment = datetime(2026, 3, 2, 1, tzinfo=UTC)
    assert await books.closer.run() == 1
    await books.use(2, "2026-02-11")  # late
    books.time.moment = datetime(2026, 4, 2, 1, tzinfo=UTC)
    assert await books.closer.run() == 1
    lines = [
        [(line.service_id, line.corrects, f"{line.net:f}") for line in one.lines] for one in await books.invoices()
    ]
    assert lines == [
        [("svc_geo", None, "5"), ("svc_maps", None, "0.01")],
        [("svc_maps", None, "0.01"), ("svc_maps", "2026-01", "0.02")],
        [("svc_maps", "2026-02", "0.02")],
    ]
