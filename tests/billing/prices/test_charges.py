"""What no charge may be: refused with the path of the field and the rule."""

import json
from decimal import Decimal
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.billing.charges import CHARGE, Charge
from shared.billing.tiers import TIERS_MAX
from shared.kernel.money import Currency

UNIT = {"model": "per_unit", "unit_price": "1"}
OPEN = {"up_to": None, "unit_price": "1"}
SHARE = {"model": "percentage", "rate_percent": "1"}


def problems(charge: dict[str, Any]) -> dict[str, str]:
    """Rules by path, without which model was taken, as a caller's JSON is read."""
    with pytest.raises(ValidationError) as refused:
        CHARGE.validate_json(json.dumps(charge))
    return {".".join(map(str, error["loc"][1:])): error["msg"] for error in refused.value.errors()}


@pytest.mark.parametrize(
    "price",
    [
        "-1",
        "-0.01",
        "NaN",
        "nan",
        "sNaN",
        "Infinity",
        "-Infinity",
        "inf",
        "1e3",
        "1E-3",
        "",
        " 1",
        "+1",
        ".5",
        "5.",
        "1,5",
        "1_000",
        "0x10",
        "١",
        "1" * 13,
        "1." + "3" * 13,
        "3" * 40,
        "0." + "3" * 40,
        1,
        1.5,
        True,
        None,
        [],
        {},
    ],
)
@pytest.mark.parametrize("field", ["unit_price", "base_fee"])
def test_what_is_no_price(field: str, price: object) -> None:
    found = problems({**UNIT, field: price})
    assert found.keys() == {field}
    assert "must" in found[field]


@pytest.mark.parametrize(
    ("written", "value"), [("0", "0"), ("007", "7"), ("1.50", "1.5"), ("0.000000000001", "0.000000000001")]
)
def test_what_is_a_price(written: str, value: str) -> None:
    charge = CHARGE.validate_python({**UNIT, "unit_price": written})
    assert json.loads(charge.model_dump_json())["unit_price"] == value


def tiers(*bounds: str | None, model: str = "graduated") -> dict[str, Any]:
    return {"model": model, "tiers": [{"up_to": bound, "unit_price": "1"} for bound in bounds]}


@pytest.mark.parametrize(
    ("charge", "path", "rule"),
    [
        (tiers("5"), "tiers", "the last one must have `up_to` null"),
        (tiers("5", "10"), "tiers", "the last one must have `up_to` null"),
        (tiers("10", "5", None), "tiers", "tier 2 does not"),
        (tiers("5", "5", None), "tiers", "tier 2 does not"),
        (tiers("5", "5.0", None), "tiers", "tier 2 does not"),
        (tiers("0", None), "tiers", "tier 1 does not"),
        (tiers(None, None), "tiers", "tier 1 of 2"),
        (tiers("5", None, "10"), "tiers", "tier 2 of 3"),
        (tiers(), "tiers", "at least one"),
        (tiers("-5", None), "tiers.0.up_to", "must not be negative"),
        ({"model": "graduated"}, "tiers", "required"),
        ({"model": "graduated", "tiers": [{**OPEN, "price": "1"}]}, "tiers.0.price", "not permitted"),
        (
            {"model": "graduated", "tiers": [{"up_to": None, "package_price": "1"}]},
            "tiers.0.package_price",
            "not permitted",
        ),
        (
            {"model": "graduated_percentage", "tiers": [{"up_to": None, "rate_percent": "100.1"}]},
            "tiers.0.rate_percent",
            "at most 100",
        ),
        (
            {"model": "graduated_package", "tiers": [{"up_to": None, "package_price": "1", "package_size": "0"}]},
            "tiers.0.package_size",
            "greater than 0",
        ),
        (
            {"model": "volume_package", "tiers": [{"up_to": "1", "package_price": "1", "package_size": "1"}]},
            "tiers",
            "the last one must have `up_to` null",
        ),
        ({**UNIT, "tiers": [OPEN]}, "tiers", "not permitted"),
        ({**UNIT, "unit_prize": "1"}, "unit_prize", "not permitted"),
        ({"model": "per_unit"}, "unit_price", "required"),
        ({"model": "package", "package_price": "1", "package_size": "0"}, "package_size", "greater than 0"),
        ({"model": "package", "package_price": "1", "package_size": "1", "round": "half"}, "round", "'up' or 'down'"),
        ({**UNIT, "minimum_spend": "2", "maximum_spend": "1"}, "maximum_spend", "must not be below `minimum_spend`"),
        ({**UNIT, "percentage_discount": "100.000001"}, "percentage_discount", "at most 100"),
        ({**UNIT, "percentage_discount": "99999999"}, "percentage_discount", "must be a decimal number"),
        ({**UNIT, "convert": {"op": "divide", "factor": "0"}}, "convert.factor", "greater than 0"),
        ({**UNIT, "convert": {"op": "add", "factor": "1"}}, "convert.op", "'multiply' or 'divide'"),
        (
            {**UNIT, "convert": {"op": "divide", "factor": "1", "rounding": "half_even"}},
            "convert.rounding",
            "'half_up'",
        ),
        ({**SHARE, "rate_percent": "101"}, "rate_percent", "at most 100"),
        ({**SHARE, "per_event_min": "2", "per_event_max": "1"}, "per_event_max", "must not be below `per_event_min`"),
        ({**SHARE, "free_units": "1"}, "free_units", "`free_events` and `free_amount` instead"),
        ({**SHARE, "metric": "requests"}, "metric", "'quantity'"),
        ({**SHARE, "free_events": 10**10}, "free_events", "less than or equal"),
        ({**UNIT, "metric": "quantity"}, "feature", "the metric quantity needs it"),
        ({**UNIT, "metric": "max"}, "feature", "the metric max needs it"),
        ({**UNIT, "metric": "unique"}, "field", "the metric unique needs it"),
        ({**UNIT, "metric": "requests", "field": "user"}, "field", "only the metric unique has it"),
        ({**UNIT, "metric": "bytes"}, "metric", "'requests'"),
        ({**UNIT, "client_errors": [429, 500]}, "client_errors.1", "less than or equal to 499"),
        ({**UNIT, "id": "No Slug"}, "id", "pattern"),
    ],
)
def test_what_is_refused(charge: dict[str, Any], path: str, rule: str) -> None:
    found = problems(charge)
    assert found.keys() == {path}
    assert rule in found[path]


@pytest.mark.parametrize("model", ["graduated", "volume"])
def test_how_many_tiers(model: str) -> None:
    bounds = [str(number) for number in range(1, 10_000)]
    most = CHARGE.validate_python(tiers(*bounds[: TIERS_MAX - 1], None, model=model))
    assert len(getattr(most, "tiers", ())) == TIERS_MAX
    for number in (TIERS_MAX, 9_999):
        assert f"at most {TIERS_MAX} items" in problems(tiers(*bounds[:number], None, model=model))["tiers"]


@pytest.mark.parametrize("charge", [{}, {"model": "free"}, {"model": None}, {"unit_price": "1"}])
def test_a_charge_of_no_model(charge: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="'model'"):
        CHARGE.validate_python(charge)


@pytest.mark.parametrize("code", ["XYZ", "XAU", "XXX", "eur", "EURO", "", "€"])
def test_what_is_no_currency(code: str) -> None:
    with pytest.raises(ValidationError, match="must be a currency of ISO 4217"):
        TypeAdapter(Currency).validate_python(code)


def test_a_charge_is_read_as_it_was_written() -> None:
    charge: Charge = CHARGE.validate_python(
        {**tiers("0.1", None), "metric": "unique", "field": "user", "minimum_spend": "5", "maximum_spend": "5"}
    )
    assert CHARGE.validate_json(CHARGE.dump_json(charge)) == charge
    assert charge.minimum_spend == Decimal(5)
