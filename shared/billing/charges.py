"""What a price plan is made of: charges, in one JSON form for every model, decimals as text.

A charge names what it counts (`metric`), and how that is priced (`model`). What could be read in two ways is refused:
a last tier with a bound gives away what is above it, tiers out of order have no meaning, a field of another model would
be ignored without a word.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, model_validator

from shared.kernel.money import Percent, Price, Quantity
from shared.kernel.stored import Slug, StoredModel

Metric = Literal[
    "requests", "request_mb", "response_mb", "data_mb", "executions", "active_minutes", "quantity", "unique", "max"
]
"""MB are 1,000,000 bytes of bodies; `data_mb` is both directions. `quantity` sums a feature's quantities, `max` is the
largest of them, `unique` counts the values of a metadata field. `unique` and `max` are of the whole period: they are
not sums, so a plan that changes within one is applied to all of it in its newest version."""

TIERS_MAX = 100
CHARGES_MAX = 50
ClientError = Annotated[int, Field(ge=400, le=499)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=128, strip_whitespace=True)]
Size = Annotated[Quantity, Field(gt=0)]
Factor = Annotated[Quantity, Field(gt=0)]


class Strict(StoredModel):
    """Unknown fields are refused: a misspelt price must not become no price."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Convert(Strict):
    """Of the quantity, before everything else: `quantity op factor`, rounded to a whole number."""

    op: Literal["multiply", "divide"]
    factor: Factor
    rounding: Literal["none", "ceiling", "floor", "half_up"] = "none"


class UnitTier(Strict):
    """From just above the tier before up to and including `up_to`, counted from the period's first unit."""

    up_to: Quantity | None = None
    unit_price: Price = Decimal(0)
    flat_fee: Price = Decimal(0)


class PercentTier(Strict):
    up_to: Quantity | None = None
    rate_percent: Percent = Decimal(0)
    flat_fee: Price = Decimal(0)


class PackageTier(Strict):
    up_to: Quantity | None = None
    package_price: Price
    package_size: Size


def _check_tiers(tiers: tuple[UnitTier, ...] | tuple[PercentTier, ...] | tuple[PackageTier, ...]) -> None:
    *bounded, last = (tier.up_to for tier in tiers)
    if last is not None:
        raise ValueError("tiers: the last one must have `up_to` null, or usage above it would be free")
    previous = Decimal(0)
    for bound in bounded:
        if bound is None:
            raise ValueError("tiers: only the last one may have `up_to` null")
        if bound <= previous:
            raise ValueError("tiers: `up_to` must rise from tier to tier, and the first must be above 0")
        previous = bound


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
    name: Annotated[str, Field(max_length=120)] = ""
    metric: Metric | None = None
    feature: Text | None = None
    field: Text | None = None
    client_errors: Annotated[tuple[ClientError, ...], Field(max_length=100)] = ()
    unit: Annotated[str, Field(max_length=30)] = ""
    base_fee: Price = Decimal(0)
    free_units: Quantity = Decimal(0)
    convert: Convert | None = None
    percentage_discount: Percent = Decimal(0)
    minimum_spend: Price | None = None
    maximum_spend: Price | None = None

    @model_validator(mode="after")
    def _check_charge(self) -> Self:
        if self.metric in ("quantity", "max") and self.feature is None:
            raise ValueError(f"feature: the metric {self.metric} needs it")
        if (self.metric == "unique") != (self.field is not None):
            raise ValueError("field: the metric unique needs it, and no other has it")
        least, most = self.minimum_spend, self.maximum_spend
        if least is not None and most is not None and least > most:
            raise ValueError("minimum_spend: must not be above `maximum_spend`")
        return self


class PerUnit(_Charge):
    model: Literal["per_unit"]
    unit_price: Price


class Graduated(_Charge):
    """Each tier prices the units that are in it; its flat fee is due once a unit is. With `flat_fee_at_zero` the first
    tier's is due without any."""

    model: Literal["graduated"]
    tiers: Annotated[tuple[UnitTier, ...], Field(min_length=1, max_length=TIERS_MAX)]
    flat_fee_at_zero: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tiers(self.tiers)
        return self


class Volume(_Charge):
    """The tier that the total reaches prices all units. Not monotonic: one unit more can cost less in total."""

    model: Literal["volume"]
    tiers: Annotated[tuple[UnitTier, ...], Field(min_length=1, max_length=TIERS_MAX)]
    flat_fee_at_zero: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tiers(self.tiers)
        return self


class GraduatedPercentage(_Charge):
    """Of an amount of money that is the quantity: each tier takes its percentage of what is in it."""

    model: Literal["graduated_percentage"]
    tiers: Annotated[tuple[PercentTier, ...], Field(min_length=1, max_length=TIERS_MAX)]
    flat_fee_at_zero: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tiers(self.tiers)
        return self


class Package(_Charge):
    """Whole packages; `round` says whether one that was begun is paid (`up`) or free (`down`)."""

    model: Literal["package"]
    package_price: Price
    package_size: Size
    round: Literal["up", "down"] = "up"


class GraduatedPackage(_Charge):
    """Each tier sells the units that are in it in packages of its own; one that was begun is paid."""

    model: Literal["graduated_package"]
    tiers: Annotated[tuple[PackageTier, ...], Field(min_length=1, max_length=TIERS_MAX)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tiers(self.tiers)
        return self


class VolumePackage(_Charge):
    """The tier that the total reaches sells all units in its packages."""

    model: Literal["volume_package"]
    tiers: Annotated[tuple[PackageTier, ...], Field(min_length=1, max_length=TIERS_MAX)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_tiers(self.tiers)
        return self


class Percentage(_Charge):
    """A share of amounts of money that the events carry as their quantity (metric `quantity`): `rate_percent` of each,
    and `fixed_fee` for each. The first `free_events` are free, and so are events until their sum is `free_amount`;
    whichever is used up first ends it. `per_event_min` and `per_event_max` bound what one event costs."""

    model: Literal["percentage"]
    metric: Literal["quantity"] | None = None
    rate_percent: Percent
    fixed_fee: Price = Decimal(0)
    free_events: Annotated[int, Field(ge=0, le=10**9)] = 0
    free_amount: Quantity = Decimal(0)
    per_event_min: Price | None = None
    per_event_max: Price | None = None


class Dynamic(_Charge):
    """The events carry their own price as their quantity (metric `quantity`), in the plan's currency; the sum is
    multiplied."""

    model: Literal["dynamic"]
    metric: Literal["quantity"] | None = None
    multiplier: Price = Decimal(1)


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
