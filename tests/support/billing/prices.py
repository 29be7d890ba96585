"""Prices drawn at random."""

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

prices = st.integers(0, 2_000).map(lambda n: Decimal(n) / 1000)


bounds = st.lists(st.integers(1, 60), min_size=0, max_size=4, unique=True).map(sorted)


@st.composite
def tiered(draw: st.DrawFn, model: str) -> dict[str, Any]:
    upper = [str(bound) for bound in draw(bounds)] + [None]
    tiers = [{"up_to": bound, "unit_price": str(draw(prices)), "flat_fee": str(draw(prices))} for bound in upper]
    return {"model": model, "tiers": tiers, "flat_fee_at_zero": draw(st.booleans())}


@st.composite
def package(draw: st.DrawFn) -> dict[str, Any]:
    size, rounding = str(draw(st.integers(1, 9))), draw(st.sampled_from(["up", "down"]))
    return {"model": "package", "package_price": str(draw(prices)), "package_size": size, "round": rounding}


per_unit = prices.map(lambda price: {"model": "per_unit", "unit_price": str(price)})
