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


class UnitConversion(Strict):
    """Conversion of the quantity before pricing: multiplied or divided by `factor`, then rounded."""

    op: Literal["multiply", "divide"]
    """Operation on the quantity."""
    factor: Factor
    """Factor by which the quantity is multiplied or divided."""
    rounding: Literal["none", "ceiling", "floor", "half_up"] = "none"
    """Rounding of the result to a whole number; `none` does not round."""


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
    """Id of the charge in all versions of its plan. A charge that keeps its id and metric continues the count of the
    previous version."""
    name: Annotated[str, Field(max_length=120)] = ""
    """Name on invoices; required for each charge of a plan."""
    metric: ChargeMetric | None = None
    """Metric that is billed; required for each charge of a plan, not for the price calculator."""
    feature: Annotated[Text | None, Field(validate_default=True)] = None
    """Only usage with this feature; null is all. Required by the metrics `quantity` and `max`."""
    field: Annotated[Text | None, Field(validate_default=True)] = None
    """For the metric `unique`: the top-level field of the events' `metadata` whose different values are counted;
    otherwise null."""
    client_errors: Annotated[tuple[ClientError, ...], Field(max_length=100)] = ()
    """HTTP statuses from 400 to 499 that are billed in addition to success (below 400, or no status). 5xx are never
    billed; calls that AMS refuses are no usage."""
    unit: Annotated[str, Field(max_length=30)] = ""
    """Unit on invoices, such as `page`; empty is none."""
    base_fee: Price = Decimal(0)
    """Fee for each period, independent of usage, in the plan's currency."""
    free_units: Quantity = Decimal(0)
    """Free part of the converted quantity in each period."""
    convert: UnitConversion | None = None
    """Conversion of the quantity before pricing; null is none."""
    percentage_discount: Percent = Decimal(0)
    """Discount on the amount in percent, applied before minimum and maximum."""
    minimum_spend: Price | None = None
    """Minimum amount in each period; null is no minimum."""
    maximum_spend: Price | None = None
    """Maximum amount in each period; null is no maximum."""

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


class PerUnitCharge(_Charge):
    """Charge per unit: every unit has the same price."""

    model: Literal["per_unit"]
    """Kind of the charge."""
    unit_price: Price
    """Price of one unit, in the plan's currency."""


class GraduatedCharge(_Charge):
    """Graduated charge: each tier prices the units that fall into it. A tier's flat fee is due once a unit falls into
    it; with `flat_fee_at_zero` the first tier's fee is due without usage."""

    model: Literal["graduated"]
    """Kind of the charge."""
    tiers: UnitTiers
    """Tiers in ascending order; only the last tier has no upper bound."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class VolumeCharge(_Charge):
    """Volume charge: the tier that the total quantity reaches prices all units. One more unit can therefore cost less
    in total."""

    model: Literal["volume"]
    """Kind of the charge."""
    tiers: UnitTiers
    """Tiers in ascending order; only the last tier has no upper bound."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class GraduatedPercentageCharge(_Charge):
    """Graduated percentage: the quantity is an amount of money, and each tier takes its percentage of the part that
    falls into it."""

    model: Literal["graduated_percentage"]
    """Kind of the charge."""
    tiers: PercentTiers
    """Tiers in ascending order; only the last tier has no upper bound."""
    flat_fee_at_zero: bool = False
    """Whether the first tier's flat fee is due without any usage."""


class PackageCharge(_Charge):
    """Package charge: units are sold in whole packages. `round` determines whether a started package is billed (`up`)
    or free (`down`)."""

    model: Literal["package"]
    """Kind of the charge."""
    package_price: Price
    """Price of one package, in the plan's currency."""
    package_size: Size
    """Number of units in one package."""
    round: Literal["up", "down"] = "up"
    """Whether a started package is billed (`up`) or free (`down`)."""


class GraduatedPackageCharge(_Charge):
    """Graduated packages: each tier sells the units that fall into it in packages of its own size and price. A started
    package is billed in full."""

    model: Literal["graduated_package"]
    """Kind of the charge."""
    tiers: PackageTiers
    """Tiers in ascending order; only the last tier has no upper bound."""


class VolumePackageCharge(_Charge):
    """Volume packages: the tier that the total quantity reaches sells all units in its packages."""

    model: Literal["volume_package"]
    """Kind of the charge."""
    tiers: PackageTiers
    """Tiers in ascending order; only the last tier has no upper bound."""


class PercentageCharge(_Charge):
    """Percentage charge: each event's quantity (metric `quantity`) is an amount of money, of which the charge takes
    `rate_percent`, plus `fixed_fee`. Events are free while both `free_events` and `free_amount` last. `per_event_min`
    and `per_event_max` limit the cost of one event. `free_units` must be 0."""

    model: Literal["percentage"]
    """Kind of the charge."""
    metric: Literal["quantity"] | None = None
    """Always `quantity`: an amount of money in the plan's currency."""
    rate_percent: Percent
    """Percentage of each event's amount."""
    fixed_fee: Price = Decimal(0)
    """Fee for each event that is not free, in addition to the percentage."""
    free_events: Annotated[int, Field(ge=0, le=10**9)] = 0
    """Number of events at the start of the period that are free."""
    free_amount: Quantity = Decimal(0)
    """Sum of amounts at the start of the period that is free. `free_events` and `free_amount` both end once either is
    used up."""
    per_event_min: Price | None = None
    """Minimum cost of one event; null is no minimum."""
    per_event_max: Price | None = None
    """Maximum cost of one event; null is no maximum."""

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


class DynamicCharge(_Charge):
    """Charge with prices from events: each event's quantity (metric `quantity`) is its price in the plan's currency;
    the sum is multiplied by `multiplier`."""

    model: Literal["dynamic"]
    """Kind of the charge."""
    metric: Literal["quantity"] | None = None
    """Always `quantity`: the price of the event in the plan's currency."""
    multiplier: Price = Decimal(1)
    """Factor by which the sum of the prices is multiplied."""


Charge = Annotated[
    PerUnitCharge
    | GraduatedCharge
    | VolumeCharge
    | GraduatedPercentageCharge
    | PackageCharge
    | GraduatedPackageCharge
    | VolumePackageCharge
    | PercentageCharge
    | DynamicCharge,
    Field(discriminator="model"),
]
CHARGE: TypeAdapter[Charge] = TypeAdapter(Charge)


def needs_events(charge: Charge) -> bool:
    """Whether sums are not enough, so that the raw records are read."""
    return charge.metric in ("unique", "max") or isinstance(charge, PercentageCharge)


def is_sum(charge: Charge) -> bool:
    """Whether the usage of two stretches of time adds up to that of both."""
    return charge.metric not in ("unique", "max")


def charge_key(charge: Charge) -> tuple[str, str, str, str]:
    """What a charge is known by through the versions of its plan."""
    return charge.id, charge.metric or "", charge.feature or "", charge.field or ""
