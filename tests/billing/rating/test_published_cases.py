"""Numeric examples that other billing systems publish (figures, with where they are from), rated by ours."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.billing.charges import CHARGE, Charge, UnitConversion
from shared.billing.rating import Rated, Usage, converted, rate
from shared.billing.tax.rules import TaxRate, Treatment, tax_lines
from shared.kernel.money import exponent, round_money
from tests.support.paths import ROOT

CASES: list[dict[str, Any]] = json.loads(Path(__file__).with_name("rating_cases.json").read_text())
PUBLISHED = ROOT.parent / "shared" / "reference" / "rating_cases.json"
OURS = {
    "per_unit",
    "graduated",
    "volume",
    "graduated_percentage",
    "package",
    "graduated_package",
    "volume_package",
    "percentage",
    "dynamic",
}
NOT_OURS = {
    "proration_seconds": "AMS has no subscriptions that are shared by seconds; fees are shared by days",
    "proration_days_used": "AMS has no subscriptions that are ended with a credit by days",
    "round_quantity": "quantities are rounded to whole numbers only, by a charge's `convert`",
}


def _charge(case: dict[str, Any]) -> Charge:
    """In our form: percents have a name of their own, and the last tier has no bound."""
    price = json.loads(json.dumps(case["price"]))
    price.pop("amounts_in", None)
    price.pop("unit_price_is", None)
    tiers = price.get("tiers", [])
    if case["model"] == "graduated_percentage":
        for tier in tiers:
            tier["rate_percent"] = tier.pop("unit_price")
    if "tier_selected_by" in price:  # units that are shared by time are not ours: only the tier they all reach is
        units = Decimal(case["usage"][price.pop("tier_selected_by")])
        reached = next(tier for tier in tiers if tier["up_to"] is None or units <= Decimal(tier["up_to"]))
        tiers[:] = [{**reached, "up_to": None}]
    if tiers and tiers[-1]["up_to"] is not None:
        with pytest.raises(ValidationError, match="the last one must have"):
            CHARGE.validate_python({"model": case["model"], **price})
        tiers.append({**tiers[-1], "up_to": None})
    return CHARGE.validate_python({"model": case["model"], **price})


def _decimals(texts: list[str] | None) -> tuple[Decimal, ...] | None:
    return None if texts is None else tuple(map(Decimal, texts))


def _minor(amount: Decimal, currency: str) -> Decimal:
    """12.50 EUR is 1250."""
    return amount.scaleb(exponent(currency))


def _rated(charge: Charge, usage: dict[str, Any], currency: str) -> Rated:
    quantity = Decimal(usage.get("quantity", "0"))
    if "event_amount_minor_total" in usage:
        quantity = Decimal(usage["event_amount_minor_total"]) / 100
    before = Decimal(usage.get("pre_line_quantity", "0"))
    asked = Usage(
        quantity,
        pre_line_quantity=before,
        previously_billed=Decimal(usage.get("previously_billed", "0")),
        events=_decimals(usage.get("events")),
        event_count=usage.get("event_count"),
        running_total=_decimals(usage.get("running_total")),
        base_fee_share=Decimal(not before),
        is_first=not before,
    )
    return rate(charge, asked, currency)


@pytest.mark.parametrize("case", [c for c in CASES if c["model"] in OURS], ids=lambda case: case["id"])
def test_a_published_price(case: dict[str, Any]) -> None:
    charge, expected = _charge(case), dict(case["expected"])
    if "buckets" in case["usage"]:
        total = sum(_rated(charge, {"quantity": each}, case["currency"]).amount for each in case["usage"]["buckets"])
        assert total == Decimal(expected["amount"])
        return
    rated = _rated(charge, case["usage"], case["currency"])
    lines = expected.pop("lines", None)
    if lines is not None:
        assert [step.amount for step in rated.steps if step.amount] == [Decimal(n) for n in lines if Decimal(n)]
    found = {
        "amount": rated.amount,
        "amount_minor_rounded": rated.rounded,
        "discount": rated.discount,
        "commitment_top_up": rated.commitment_top_up,
        "total": rated.total,
        "billed_quantity": rated.billed_quantity,
    }
    assert {name: found[name] for name in expected} == {name: Decimal(value) for name, value in expected.items()}


@pytest.mark.parametrize("case", [c for c in CASES if c["model"] not in OURS], ids=lambda case: case["id"])
def test_a_published_rounding(case: dict[str, Any]) -> None:
    if case["model"] in NOT_OURS and case["price"].get("precision") != 0:
        pytest.skip(NOT_OURS[case["model"]])
    usage, expected = case["usage"], {k: Decimal(v) for k, v in case["expected"].items()}
    match case["model"]:
        case "round_money":
            found = {"amount": round_money(Decimal(usage["value"]), case["currency"])}
        case "round_minor_units":
            found = {"amount": _minor(round_money(Decimal(usage["value"]) / 100, "USD"), "USD")}
        case "quantity_conversion":
            convert = CHARGE.validate_python({"model": "per_unit", "unit_price": "1", **case["price"]}).convert
            found = {"billed_quantity": converted(Decimal(usage["quantity"]), convert)}
        case "round_quantity":
            rounding = {"round": "half_up", "ceil": "ceiling", "floor": "floor"}[case["price"]["function"]]
            convert = UnitConversion.model_validate({"op": "multiply", "factor": "1", "rounding": rounding})
            found = {"amount": converted(Decimal(usage["value"]), convert)}
        case "free_units":
            charge = CHARGE.validate_python({"model": "per_unit", "unit_price": "1", **case["price"]})
            rated = _rated(charge, usage, case["currency"])
            free = Decimal(usage["quantity"]) - rated.billed_quantity
            found = {"billed_quantity": rated.billed_quantity, "free_applied": free}
        case "tax":
            [line] = usage["lines"]
            rates = tuple(TaxRate("VAT", "S", Decimal(percent)) for percent in line["rates"])
            taxes = tax_lines(Treatment(rates), Decimal(line["amount_minor"]) / 100, case["currency"])
            found = {"tax_total_minor": sum((_minor(tax.amount, case["currency"]) for tax in taxes), Decimal(0))}
        case other:
            pytest.fail(f"there is no test for the model {other}")
    assert found == expected


def test_no_published_case_is_forgotten() -> None:
    if not PUBLISHED.exists():
        pytest.skip("the published collection is not beside the project")
    published = {case["id"]: case for case in json.loads(PUBLISHED.read_text())["cases"]}
    ours = {case["id"]: case for case in CASES}
    assert published.keys() == ours.keys()
    for id, case in published.items():  # noqa: A001 - the field's own word
        assert {n: case[n] for n in ("model", "price", "usage", "expected")} == {
            n: ours[id][n] for n in ("model", "price", "usage", "expected")
        }
