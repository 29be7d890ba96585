"""Invoices as JSON: one canonical form, frozen at issue, that says no more than is the reader's affair."""

import json
from decimal import Decimal

import pytest

from shared.billing.documents.json import frozen, parse_json, render_json, render_note_json
from shared.billing.invoices.models import Invoice
from shared.billing.prices.models import Plan, UsedPlan
from tests.support.billing import document_samples as samples
from tests.support.billing.invoice_samples import END, START


def _with_plan() -> Invoice:
    plan = Plan.model_validate(
        {
            "service_id": "svc_maps",
            "merchant_id": "mer_1",
            "number": 1,
            "name": "Standard",
            "currency": "EUR",
            "charges": [],
            "effective_from": START,
            "created_at": START,
            "created_by": "acc_secret",
        }
    )
    used = UsedPlan(start=START, end=END, period="2026-03", service_name="Maps", subscribed=True, plan=plan)
    return samples.rich(plans=(used,), prints={"2026-03": "a1"})


@pytest.mark.parametrize("name", samples.ALL)
@pytest.mark.parametrize("merchants_side", [True, False])
def test_what_is_read_back_writes_the_same(name: str, merchants_side: bool) -> None:
    text = render_json(samples.ALL[name](), merchants_side=merchants_side)
    assert render_json(parse_json(text), merchants_side=merchants_side) == text


def test_the_canonical_form() -> None:
    text = render_json(samples.foreign()).decode()
    fields = json.loads(text)
    assert list(fields) == sorted(fields)
    assert text.endswith("}\n")
    assert "Ромашка" in text
    assert fields["total"] == "1456789.66"
    assert fields["lines"][0]["quantity"] == "1234567.5"


def test_nothing_that_changes_later_is_in_it() -> None:
    issued = samples.rich()
    later = issued.model_copy(
        update={"status": "void", "paid": Decimal(5), "credited": Decimal(1), "due": "2026-05-02", "reminders": ("x",)}
    )
    assert render_json(later) == render_json(issued)
    assert frozen(later) == frozen(issued)
    assert frozen(issued).consumer_id == "con_1"
    assert frozen(issued).commission == issued.commission


def test_the_buyer_learns_nothing_of_the_merchants_side() -> None:
    buyers, merchants = (json.loads(render_json(_with_plan(), merchants_side=side)) for side in (False, True))
    assert set(merchants) - set(buyers) == {"commission", "commission_percent", "merchant_net"}


@pytest.mark.parametrize("merchants_side", [True, False])
def test_no_one_behind_a_pseudonym_or_a_plan_is_named(merchants_side: bool) -> None:
    text = render_json(_with_plan(), merchants_side=merchants_side)
    assert b"con_1" not in text
    assert b"acc_secret" not in text
    assert parse_json(text).plans[0].plan.name == "Standard"


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"null", b'{"lines": 3}', b"\xff"])
def test_what_is_no_invoice_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


def test_a_credit_note() -> None:
    fields = json.loads(render_note_json(samples.note()))
    assert (fields["number"], fields["total"], fields["reason"]) == (
        "ACME26C000001",
        "195.17",
        "Half a day without service on 12 March.",
    )
    assert "consumer_id" not in fields
