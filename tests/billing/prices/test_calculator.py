"""The price calculator over the API: published examples in their own field names, and what it refuses, by name."""

import json
import re
from decimal import Decimal, localcontext
from typing import Any

import pytest

from shared.kernel.money import EXACT
from tests.support.api.harness import Api
from tests.support.paths import ROOT

PREVIEW = "/api/v1/pricing/preview"
TIERS = [
    {"up_to": "5", "flat_fee": "100"},
    {"up_to": "10", "flat_fee": "50"},
    {"up_to": "15", "unit_price": "5"},
    {"up_to": None, "unit_price": "1"},
]
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
        "amount": "22",
        "rounded": "22",
        "discount": "12",
        "commitment_top_up": "0",
        "total": "10",
    }
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
        ({"unit_price": "1"}, {}, "USD", "charge.model"),
        ({**UNIT, "unit_price": "-1"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": 1.5}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "NaN"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "Infinity"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1e3"}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1." + "3" * 40}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "unit_price": "1" * 41}, {}, "USD", "charge.unit_price"),
        ({**UNIT, "percentage_discount": "150"}, {}, "USD", "charge.percentage_discount"),
        ({**UNIT, "package_size": "1"}, {}, "USD", "charge.package_size"),
        ({**UNIT, "minimum_spend": "2", "maximum_spend": "1"}, {}, "USD", "charge.maximum_spend"),
        ({"model": "none"}, {}, "USD", "charge.model"),
        ({"model": "volume", "tiers": [{"up_to": "1"}] * 10_000}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": []}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": [{"up_to": "1", "unit_price": "1"}]}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": [{"up_to": "2"}, {"up_to": "1"}, {"up_to": None}]}, {}, "USD", "charge.tiers"),
        ({"model": "volume", "tiers": [{"up_to": None, "unit_price": 1}]}, {}, "USD", "charge.tiers.0.unit_price"),
        ({**UNIT, "metric": "quantity"}, {}, "USD", "charge.feature"),
        ({**UNIT, "convert": {"op": "divide", "factor": "0"}}, {}, "USD", "charge.convert.factor"),
        (UNIT, {"previously_billed": "1" * 19}, "USD", "usage.previously_billed"),
        (UNIT, {"events": ["1", "-1"]}, "USD", "usage.events.1"),
        (UNIT, {"event_count": -1}, "USD", "usage.event_count"),
        (UNIT, {"quantity": "3", "events": ["1"]}, "USD", "usage.quantity"),
        (UNIT, {"base_fee_share": "0"}, "USD", "usage.base_fee_share"),
        (UNIT, {"quantity": "-1"}, "USD", "usage.quantity"),
        (UNIT, {"quantity": 3}, "USD", "usage.quantity"),
        (UNIT, {"quantity": "3", "extra": "1"}, "USD", "usage.extra"),
        (UNIT, {"events": ["1"] * 10_001}, "USD", "usage.events"),
        (UNIT, {}, "XYZ", "currency"),
        (UNIT, {}, "XAU", "currency"),
        ({"model": "percentage", "rate_percent": "1", "per_event_max": "1"}, {"quantity": "5"}, "USD", "usage.events"),
    ],
)
async def test_what_is_refused(
    api: Api, charge: dict[str, Any], usage: dict[str, Any], currency: str, field: str
) -> None:
    answer = await _ask(api, charge, usage, currency)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "request_invalid"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert all(error["rule"] for error in answer.json()["errors"])


MOST = "999999999999999999.999999999999"


@pytest.mark.parametrize(
    ("charge", "usage"),
    [
        ({**UNIT, "convert": {"op": "divide", "factor": "3"}}, {"quantity": "10"}),
        ({**UNIT, "unit_price": MOST[6:], "convert": {"op": "multiply", "factor": MOST}}, {"quantity": MOST}),
        (
            {
                "model": "package",
                "package_price": MOST[6:],
                "package_size": "0.000000000001",
                "convert": {"op": "divide", "factor": "0.000000000001"},
            },
            {"events": [MOST] * 100},
        ),
        ({**UNIT, "minimum_spend": MOST[6:]}, {"previously_billed": f"-{MOST}"}),
        ({"model": "percentage", "rate_percent": "0.000001", "per_event_min": MOST[6:]}, {"events": [MOST] * 10_000}),
    ],
)
async def test_whatever_is_taken_is_answered(api: Api, charge: dict[str, Any], usage: dict[str, Any]) -> None:
    answer = await _ask(api, charge, usage, "KWD")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    with localcontext(EXACT):
        assert sum(Decimal(line["amount"]) for line in found["lines"]) == Decimal(found["amount"])
        parts = [Decimal(found[name]) for name in ("rounded", "discount", "commitment_top_up", "total")]
        assert parts[0] - parts[1] + parts[2] == parts[3]


async def test_the_documented_example(api: Api) -> None:
    text = (ROOT / "docs/prices.md").read_text().partition("## Trying a price")[2]
    asked, answered = re.search(r"-d '(.*?)'\n```", text, re.DOTALL), re.search(r"```json\n(.*?)```", text, re.DOTALL)
    assert asked is not None
    assert answered is not None
    answer = await api.client.post(PREVIEW, json=json.loads(asked[1]))
    assert answer.json() == json.loads(answered[1])


async def test_the_base_fee_is_in_the_first_line_only(api: Api) -> None:
    charge = {**UNIT, "base_fee": "5"}
    first, later = (
        await _ask(api, charge, {"quantity": "2"}),
        await _ask(api, charge, {"quantity": "2", "pre_line_quantity": "1"}),
    )
    assert (first.json()["total"], later.json()["total"]) == ("7", "2")
    assert first.json()["lines"][0] == {"label": "base fee", "quantity": None, "unit_price": None, "amount": "5"}
