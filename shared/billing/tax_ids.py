"""Tax ids by the rules of their countries (python-stdnum): form and check digits. Whether an id was ever given out is
not asked: that takes a network, and an invoice must be computable without one."""

from stdnum import get_cc_module
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.in_ import gstin

EU = frozenset({"gr" if code == "el" else code for code in eu_vat.MEMBER_STATES} - {"xi"})
"""ISO 3166-1 codes in lower case; Northern Ireland (XI) is no country of ISO."""


def check_tax_id(country: str, number: str) -> str:
    """The number in its compact form. Raises ValueError, naming the rule; a country whose rule is not known takes any
    number of 2 to 40 letters, digits, spaces and `.-/`."""
    code = country.lower()
    if code == "in":
        return _compact(gstin, number, "a GSTIN (15 characters, with its check digit)")
    if code in EU:
        prefixed = number if number[:2].upper() in (country, "EL") else country + number
        return _compact(eu_vat, prefixed, f"a VAT id of {country}, with its check digits")
    module = get_cc_module(code, "vat")
    if module is not None:
        return _compact(module, number, f"a tax id of {country}, with its check digits")
    compact = number.strip().upper()
    if not 2 <= len(compact) <= 40 or not all(c.isalnum() or c in " .-/" for c in compact):
        raise ValueError("must be 2 to 40 letters, digits, spaces and . - /")
    return compact


def is_valid_tax_id(country: str, number: str) -> bool:
    try:
        check_tax_id(country, number)
    except ValueError:
        return False
    return True


def _compact(module: object, number: str, rule: str) -> str:
    try:
        return str(module.validate(number))  # type: ignore[attr-defined]  # every module of the library has it
    except ValidationError:
        raise ValueError(f"must be {rule}") from None
