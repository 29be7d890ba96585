"""What a price plan is made of: charges, in one JSON form for every model, decimals as text.

A charge names what it counts (`metric`), and how that is priced (`model`). What could be read in two ways is refused:
tiers out of order have no meaning (`shared.billing.tiers`), a field of another model would be ignored without a word.
"""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import (
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from shared.billing.tiers import PackageTiers, PercentTiers, Size, Strict, UnitTiers
from shared.kernel.documents import Slug
from shared.kernel.money import Percent, Price, Quantity

ChargeMetric = Literal[
    "requests", "request_mb", "response_mb", "data_mb", "executions", "active_minutes", "quantity", "unique", "max"
]
"""MB are 1,000,000 bytes of bodies; `data_mb` is both directions. `quantity` sums a feature's quantities, `max` is the
largest of them, `unique` counts the values of a metadata field. `unique` and `max` are of the whole period: they are
not sums, so a plan that changes within one is applied to all of it in its newest version."""

CHARGES_MAX = 50
ClientError = Annotated[int, Field(ge=400, le=499)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
Factor = Annotated[Quantity, Field(gt=0)]


class Convert(Strict):
    """Of the quantity, before everything else: `quantity op factor`, rounded to a whole number or, with `none`, not."""

    op: Literal["multiply", "divide"]
    """What is done with the quantity."""
    factor: Factor
    """What it is multiplied with or divided by."""
    rounding: Literal["none", "ceiling", "floor", "half_up"] = "none"
    """How the result becomes a whole number; `none` leaves it as it is."""


def _not_below(value: Decimal | None, name: str, info: ValidationInfo) -> Decimal | None:
    least = info.data.get(name)
    if value is not None and least is not None and least > value:
        raise ValueError(f"must not be below `{name}`")
    return value


class _Charge(Strict):
    """What every charge has. Of `metric` a price calculator needs nothing; in a plan every charge has one.

    `id` names it through all versions of its plan: a charge that keeps its id and metric goes on counting where the
    version before left off. `client_errors` are the statuses 400 to 499 that count beside success (below 400, or none);
    5xx never count, and what AMS refuses is no usage at all. `feature` narrows usage down to one; `quantity` and `max`
    need it, `unique` needs `field`, a top-level name of the event's metadata.

    `base_fee` is for the period, used or not. `free_units` are of the converted quantity. `percentage_discount` is of
    the amount; then `maximum_spend` bounds it, then `minimum_spend` tops it up, both for the period.
    """

    id: Slug = "charge"
    """Names the charge through all versions of its plan: one that keeps its id and metric goes on counting where the
    version before left off."""
    name: Annotated[str, Field(max_length=120)] = ""
    """What invoices call it; a plan's charges each need one."""
    metric: ChargeMetric | None = None
    """What of usage is counted; a plan's charges each need one, a price calculator none."""
    feature: Annotated[Text | None, Field(validate_default=True)] = None
    """Only usage with this feature; null is all. The metrics `quantity` and `max` need it."""
    field: Annotated[Text | None, Field(validate_default=True)] = None
    """For the metric `unique`: the top-level name in events' `metadata` whose different values are counted; else null.
    """
    client_errors: Annotated[tuple[ClientError, ...], Field(max_length=100)] = ()
    """Statuses from 400 to 499 that count beside success (below 400, or none). 5xx never count, and what AMS refuses is
    no usage at all."""
    unit: Annotated[str, Field(max_length=30)] = ""
    """What invoices call one of the quantity, such as `page`; empty is none."""
    base_fee: Price = Decimal(0)
    """Due for the period, used or not, in the plan's currency."""
    free_units: Quantity = Decimal(0)
    """Of the converted quantity: so many cost nothing in each period."""
    convert: Convert | None = None
    """What is done with the quantity before everything else; null is nothing."""
    percentage_discount: Percent = Decimal(0)
    """Percent off the amount; minimum and maximum come after it."""
    minimum_spend: Price | None = None
    """The amount is topped up to this in each period; null is no minimum."""
    maximum_spend: Price | None = None
    """The amount is cut at this in each period; null is no maximum."""

    # Of fields and not of the whole charge, so that the path of an error names one. `info.data` has the fields above
    # it, as far as they are right.

    @field_validator("feature", "field")
    @classmethod
    def _as_the_metric_needs(cls, value: str | None, info: ValidationInfo) -> str | None:
        metric = info.data.get("metric")
        wanted = metric == "unique" if info.field_name == "field" else metric in ("quantity", "max")
        if value is None and wanted:
            raise PydanticCustomError("missing", "the metric {metric} needs it", {"metric": metric})
        if value is not None and info.field_name == "field" and not wanted and "metric" in info.data:
            raise ValueError("only the metric unique has it")
        return value

    @field_validator("maximum_spend")
    @classmethod
    def _above_minimum(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        return _not_below(value, "minimum_spend", info)


class PerUnit(_Charge):
    """Every unit costs the same."""

    model: Literal["per_unit"]
    """Says which kind of charge this is."""
    unit_price: Price
    """Price of one unit, in the plan's currency."""


class Graduated(_Charge):
    """Each tier prices the units that are in it; its flat fee is due once a unit is. With `flat_fee_at_zero` the first
    tier's is due without any."""

    model: Literal["graduated"]
    """Says which kind of charge this is."""
    tiers: UnitTiers
    """In order; only the last has no end."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class Volume(_Charge):
    """The tier that the total reaches prices all units. Not monotonic: one unit more can cost less in total."""

    model: Literal["volume"]
    """Says which kind of charge this is."""
    tiers: UnitTiers
    """In order; only the last has no end."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class GraduatedPercentage(_Charge):
    """Of an amount of money that is the quantity: each tier takes its percentage of what is in it."""

    model: Literal["graduated_percentage"]
    """Says which kind of charge this is."""
    tiers: PercentTiers
    """In order; only the last has no end."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class Package(_Charge):
    """Whole packages; `round` says whether one that was begun is paid (`up`) or free (`down`)."""

    model: Literal["package"]
    """Says which kind of charge this is."""
    package_price: Price
    """Price of one package, in the plan's currency."""
    package_size: Size
    """Units in one package."""
    round: Literal["up", "down"] = "up"
    """Whether a package that was begun is paid (`up`) or free (`down`)."""


class GraduatedPackage(_Charge):
    """Each tier sells the units that are in it in packages of its own; one that was begun is paid."""

    model: Literal["graduated_package"]
    """Says which kind of charge this is."""
    tiers: PackageTiers
    """In order; only the last has no end."""


class VolumePackage(_Charge):
    """The tier that the total reaches sells all units in its packages."""

    model: Literal["volume_package"]
    """Says which kind of charge this is."""
    tiers: PackageTiers
    """In order; only the last has no end."""


class Percentage(_Charge):
    """A share of amounts of money that the events carry as their quantity (metric `quantity`): `rate_percent` of each,
    and `fixed_fee` for each. The first `free_events` are free, and so are events until their sum is `free_amount`;
    whichever is used up first ends it. `per_event_min` and `per_event_max` bound what one event costs. `free_units` it
    has none: it could mean either of the two."""

    model: Literal["percentage"]
    """Says which kind of charge this is."""
    metric: Literal["quantity"] | None = None
    """Always `quantity`: what the events carry is an amount of money in the plan's currency."""
    rate_percent: Percent
    """Percent of each event's amount."""
    fixed_fee: Price = Decimal(0)
    """Beside the percentage, for each event that is not free."""
    free_events: Annotated[int, Field(ge=0, le=10**9)] = 0
    """So many first events of the period are free."""
    free_amount: Quantity = Decimal(0)
    """Events are free until their amounts sum to this; whichever of the two is used up first ends it."""
    per_event_min: Price | None = None
    """What one event costs at least; null is no minimum."""
    per_event_max: Price | None = None
    """What one event costs at most; null is no maximum."""

    @field_validator("free_units")
    @classmethod
    def _no_free_units(cls, value: Decimal) -> Decimal:
        if value:
            raise ValueError("a percentage has `free_events` and `free_amount` instead")
        return value

    @field_validator("per_event_max")
    @classmethod
    def _above_least(cls, value: Decimal | None, info: ValidationInfo) -> Decimal | None:
        return _not_below(value, "per_event_min", info)


class Dynamic(_Charge):
    """The events carry their own price as their quantity (metric `quantity`), in the plan's currency; the sum is
    multiplied."""

    model: Literal["dynamic"]
    """Says which kind of charge this is."""
    metric: Literal["quantity"] | None = None
    """Always `quantity`: what the events carry is their own price in the plan's currency."""
    multiplier: Price = Decimal(1)
    """What the sum of the prices is multiplied with."""


Charge = Annotated[
    PerUnit
    | Graduated
    | Volume
    | GraduatedPercentage
    | Package
    | GraduatedPackage
    | VolumePackage
    | Percentage
    | Dynamic,
    Field(discriminator="model"),
]
CHARGE: TypeAdapter[Charge] = TypeAdapter(Charge)


def needs_events(charge: Charge) -> bool:
    """Whether sums are not enough, so that the raw records are read."""
    return charge.metric in ("unique", "max") or isinstance(charge, Percentage)


def is_sum(charge: Charge) -> bool:
    """Whether the usage of two stretches of time adds up to that of both."""
    return charge.metric not in ("unique", "max")


def charge_key(charge: Charge) -> tuple[str, str, str, str]:
    """What a charge is known by through the versions of its plan."""
    return charge.id, charge.metric or "", charge.feature or "", charge.field or ""
