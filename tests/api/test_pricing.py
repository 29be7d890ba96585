"""The price calculator over the API: published examples in their own field names, and what it refuses, by name."""

from typing import Any

import pytest

from tests.api.harness import Api

PREVIEW = "/api/v1/pricing/preview"
TIERS = [{"up_to": "5", "flat_fee": "100"}, {"up_to": "10", "flat_fee": "50"}, {"up_to": "15", "unit_price": "5"},
         {"up_to": None, "unit_price": "1"}]  # fmt: skip
UNIT = {"model": "per_unit", "unit_price": "1"}


async def _ask(api: Api, charge: dict[str, Any], usage: dict[str, Any], currency: str = "USD") -> Any:
    nobody = await api.sign_in("anybody")
    return await nobody.post(PREVIEW, json={"charge": charge, "usage": usage, "currency": currency})


async def test_a_published_example(api: Api) -> None:
    """OpenMeter's `maximum spend set mid tier 2/3`."""
    charge = {"model": "graduated", "tiers": TIERS, "flat_fee_at_zero": True, "maximum_spend": "170"}
    usage = {"pre_line_quantity": "12", "quantity": "10", "previously_billed": "160"}
    answer = await _ask(api, charge, usage)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert {name: found[name] for name in ("amount", "rounded", "discount", "commitment_top_up", "total")} == {
        "amount": "22", "rounded": "22", "discount": "12", "commitment_top_up": "0", "total": "10",
    }  # fmt: skip
    assert found["billed_quantity"] == "10"


async def test_a_percentage_of_events(api: Api) -> None:
    charge = {
        "model": "percentage",
        "rate_percent": "2.99",
        "fixed_fee": "2",
        "per_event_min": "1.75",
        "per_event_max": "12",
    }
    answer = await _ask(api, charge, {"events": ["10", "80", "10000"]})
    assert (answer.json()["amount"], answer.json()["rounded"]) == ("18.691", "18.69")


async def test_nobody_has_to_sign_in(api: Api) -> None:
    answer = await api.client.post(PREVIEW, json={"charge": UNIT, "usage": {"quantity": "3"}, "currency": "JPY"})
    assert answer.json()["total"] == "3"


@pytest.mark.parametrize(
    ("charge", "usage", "currency", "field"),
    [
        ({**UNIT, "unit_price": "-1"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": 1.5}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "NaN"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "Infinity"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1e3"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1." + "3" * 40}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1" * 41}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "percentage_discount": "150"}, {}, "USD", "charge.percentage_discount"),
        ({**UNIT, "package_size": "1"}, {}, "USD", "charge.package_size"),
        ({**UNIT, "minimum_spend": "2", "maximum_spend": "1"}, {}, "USD", "charge"),
        ({"model": "none"}, {}, "USD", "charge"),
        ({"model": "volume", "tiers": [{"up_to": "1"}] * 10_000}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": []}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": [{"up_to": "1", "unit_price": "1"}]}, {}, "USD", "charge"),
        ({"model": "volume", "tiers": [{"up_to": "2"}, {"up_to": "1"}, {"up_to": None}]}, {}, "USD", "charge"),
        (UNIT, {"quantity": "-1"}, "USD", "usage.quantity"),
        (UNIT, {"quantity": 3}, "USD", "usage.quantity"),
        (UNIT, {"quantity": "3", "extra": "1"}, "USD", "usage.extra"),
        (UNIT, {"events": ["1"] * 10_001}, "USD", "usage.events"),
        (UNIT, {}, "XYZ", "currency"),
        (UNIT, {}, "XAU", "currency"),
        ({"model": "percentage", "rate_percent": "1", "per_event_max": "1"}, {"quantity": "5"}, "USD", "usage.events"),
    ],
)  # fmt: skip
async def test_what_is_refused(
    api: Api, charge: dict[str, Any], usage: dict[str, Any], currency: str, field: str
) -> None:
    answer = await _ask(api, charge, usage, currency)
    assert answer.status_code == 400, answer.text
    fields = [error["field"] for error in answer.json()["errors"]]
    assert any(name == field or name.startswith(f"{field}.") for name in fields), fields
    assert all(error["rule"] for error in answer.json()["errors"])
