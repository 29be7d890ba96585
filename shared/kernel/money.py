"""Money and other exact decimals: never a float, text in JSON, one rounding rule.

Numbers come in as text (`"12.50"`), so that no precision is lost on the way; a JSON number is refused. How many digits
each kind may have is bounded, so that every product and sum of them is exact in EXACT's 120 digits; only a division
that does not end is cut (`ended`).
"""

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from functools import lru_cache
from typing import Annotated

import iso4217
from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

EXACT = Context(prec=120, traps=[InvalidOperation, DivisionByZero, Overflow])
"""What amounts are computed in: `with localcontext(EXACT):`."""

ZERO = Decimal(0)
_DECIMAL = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?", re.ASCII).fullmatch


def decimal_text(value: Decimal) -> str:
    """Write a decimal in its canonical form: no exponent, no zeros at the end, no `-0`; equal numbers are equal
    text."""
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


@dataclass(frozen=True, slots=True)
class Digits:
    """For `Annotated[Decimal, Digits(12, 6)]`: text with at most so many digits before and after the point, written
    without an exponent. NaN, infinities and JSON numbers are refused."""

    whole: int
    fraction: int
    signed: bool = False
    most: int | None = None
    example: str = "12.5"

    def parse(self, value: object) -> Decimal:
        """Read a decimal. Raises ValueError, saying the rule."""
        if isinstance(value, Decimal):
            value = f"{value:f}" if value.is_finite() else "NaN"
        bound = 2 * (self.whole + self.fraction)
        match = _DECIMAL(value) if isinstance(value, str) and len(value) <= bound else None
        if match is None or len(match[2].lstrip("0")) > self.whole or len((match[3] or "").rstrip("0")) > self.fraction:
            raise ValueError(
                f"must be a decimal number as text, with at most {self.whole} digits before and {self.fraction} after"
                " the point"
            )
        if match[1] and not self.signed:
            raise ValueError("must not be negative")
        parsed = Decimal(match[0])
        if self.most is not None and parsed > self.most:
            raise ValueError(f"must be at most {self.most}")
        return parsed

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(
                decimal_text, return_schema=core_schema.str_schema(), when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        pattern = rf"^{'-?' if self.signed else ''}[0-9]{{1,{self.whole}}}(\.[0-9]{{1,{self.fraction}}})?$"
        return {"type": "string", "pattern": pattern, "examples": [self.example]}


Price = Annotated[Decimal, Digits(12, 12, example="0.0025")]
"""What a plan asks for one of something."""

Quantity = Annotated[Decimal, Digits(18, 12, example="1200")]

FRACTION_MAX = 48
Amount = Annotated[Decimal, Digits(60, FRACTION_MAX, signed=True, example="12.50")]
"""Money that was computed, exact or rounded."""

Percent = Annotated[Decimal, Digits(3, 6, most=100, example="18")]


def ended(value: Decimal) -> Decimal:
    """Where a division did not end: to as many digits as an Amount may have. Everything else has fewer, and stays."""
    digits = value.as_tuple().exponent
    if isinstance(digits, int) and -digits > FRACTION_MAX:
        return value.quantize(Decimal(1).scaleb(-FRACTION_MAX), ROUND_HALF_UP, context=EXACT)
    return value


@lru_cache(maxsize=256)
def exponent(currency: str) -> int:
    """Digits after the point of ISO 4217's minor unit: JPY 0, EUR 2, KWD 3. Raises ValueError for what is no currency
    that people pay with, such as gold (XAU)."""
    try:
        digits = iso4217.Currency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise ValueError("must be a currency of ISO 4217, such as EUR")
    return int(digits)


def _check_currency(code: str) -> str:
    exponent(code)
    return code


Currency = Annotated[str, Field(examples=["EUR"]), AfterValidator(_check_currency)]


def round_money(amount: Decimal, currency: str) -> Decimal:
    """Round half-up (half away from zero) to the currency's minor unit, with exactly its digits."""
    with_unit = amount.quantize(Decimal(1).scaleb(-exponent(currency)), ROUND_HALF_UP, context=EXACT)
    return with_unit + 0 if with_unit else abs(with_unit)  # no -0


def money_text(amount: Decimal, currency: str) -> str:
    """Write an amount rounded, with all of the currency's digits: `12.50`, in JSON and CSV."""
    return f"{round_money(amount, currency):f}"
