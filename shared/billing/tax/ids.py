"""Tax ids by the rules of their countries (python-stdnum): form and check digits. Whether an id was ever given out is
not asked: that takes a network, and an invoice must be computable without one."""

import re
from typing import Any

from stdnum import get_cc_module, luhn
from stdnum.eu import oss
from stdnum.eu import vat as eu_vat
from stdnum.exceptions import ValidationError
from stdnum.in_ import gstin, pan

EU = frozenset(code.upper() for code in eu_vat.MEMBER_STATES) - {"XI"}
"""ISO 3166-1 codes; Northern Ireland (XI) is no country of ISO."""

_CHECKED = {
    "AU": "an ABN (11 digits, with its check digits)",
    "CA": "a Canadian business number, such as 123026635RT0001",
    "CH": "a VAT number of Switzerland, such as CHE-107.787.577 MWST",
    "GB": "a VAT number of the United Kingdom, such as GB 980 7806 84",
    "IS": "a VSK number of Iceland (5 or 6 digits)",
    "NO": "a number of the Norwegian VAT register, such as 995525828 MVA",
    "NZ": "an IRD number (8 or 9 digits, with its check digit)",
}
"""Outside the EU and India, countries where every taxable business has a number of the one kind that is checked."""

_GSTIN = re.compile(r"[0-9]{2}[A-Z]{5}[0-9]{4}[A-Z][1-9A-Z]Z[0-9A-Z]", re.ASCII).fullmatch
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ANY = re.compile(r"[A-Z0-9][A-Z0-9 ./-]{1,39}", re.ASCII).fullmatch


def check_tax_id(country: str, number: str) -> str:
    """Check a tax id by its country's rule; returns it in its compact form, with the country's prefix where it has one.
    Raises ValueError, saying the rule; a country whose rule is not known takes any number of 2 to 40 letters, digits,
    spaces and `.-/`."""
    if country == "IN":
        return _gstin(number)
    if country in EU:
        return _eu_vat(country, number)
    if country in _CHECKED:
        compact = _validated(get_cc_module(country.lower(), "vat"), number, _CHECKED[country])
        return f"GB{compact}" if country == "GB" else compact
    compact = number.strip().upper()
    if not _ANY(compact):
        raise ValueError("must be 2 to 40 letters, digits, spaces and . - /")
    return compact


def is_valid_tax_id(country: str, number: str) -> bool:
    """Tell whether a number passes `check_tax_id`."""
    try:
        check_tax_id(country, number)
    except ValueError:
        return False
    return True


def check_registration(country: str, number: str) -> str:
    """Check the number of a seller's registration as `check_tax_id` does; in the EU also the number that it has
    elsewhere, with its prefix, when it reports what consumers in this country pay through the One-Stop-Shop. Raises
    ValueError, saying the rule."""
    if country not in EU:
        return check_tax_id(country, number)
    try:
        return check_tax_id(country, number)
    except ValueError as error:
        rule = f"{error}, or the number by which you use the One-Stop-Shop, such as EU372022452"
    prefix = number.strip()[:2].upper()
    if prefix == "EU":
        return _validated(oss, number, rule.removeprefix("must be "))
    home = "GR" if prefix == "EL" else prefix
    if home in EU and is_valid_tax_id(home, number):
        return check_tax_id(home, number)
    raise ValueError(rule)


def is_one_stop_shop(country: str, number: str) -> bool:
    """Tell whether a registration from `check_registration` is for the One-Stop-Shop: for sales to consumers only."""
    return country in EU and not number.startswith(_prefix(country))


def _prefix(country: str) -> str:
    return "EL" if country == "GR" else country


def _eu_vat(country: str, number: str) -> str:
    compact, prefix = number.strip().upper(), _prefix(country)
    own = compact[2:] if compact[:2] in (country, prefix) else compact
    return _validated(eu_vat, prefix + own, f"a VAT id of {country}, with its check digits")


def _gstin(number: str) -> str:
    """The library's own check knows only the states of 2019: Ladakh's numbers would be refused."""
    rule = "a GSTIN (15 characters, with its check digit)"
    compact = gstin.compact(number)
    if not _GSTIN(compact) or gst_state(compact[:2]) is None:
        raise ValueError(f"must be {rule}")
    _validated(pan, compact[2:12], rule)
    try:
        luhn.validate(compact, _ALPHABET)
    except ValidationError:
        raise ValueError(f"must be {rule}") from None
    return compact


def _validated(module: Any, number: str, rule: str) -> str:
    try:
        return str(module.validate(number))
    except ValidationError:
        raise ValueError(f"must be {rule}") from None


# Not from pycountry: it has no digits of GST, and its names change (today they have accents). Invoices print them and
# are drawn anew to be verified, so a name that was printed has to stay. A test compares its codes with these.
_STATES = (
    "01 jk jammu and kashmir|02 hp himachal pradesh|03 pb punjab|04 ch chandigarh|05 uk uttarakhand|06 hr haryana|"
    "07 dl delhi|08 rj rajasthan|09 up uttar pradesh|10 br bihar|11 sk sikkim|12 ar arunachal pradesh|13 nl nagaland|"
    "14 mn manipur|15 mz mizoram|16 tr tripura|17 ml meghalaya|18 as assam|19 wb west bengal|20 jh jharkhand|"
    "21 od odisha|22 cg chhattisgarh|23 mp madhya pradesh|24 gj gujarat|26 dh dadra and nagar haveli and daman and diu|"
    "27 mh maharashtra|29 ka karnataka|30 ga goa|31 ld lakshadweep|32 kl kerala|33 tn tamil nadu|34 py puducherry|"
    "35 an andaman and nicobar islands|36 ts telangana|37 ad andhra pradesh|38 la ladakh|97 97 other territory"
)
_GST_STATES: dict[str, str] = {}
_NAMES: dict[str, str] = {}
for _state in _STATES.split("|"):
    _code, _letters, _name = _state.split(" ", 2)
    _GST_STATES |= {_code: _code, _letters: _code, _name: _code}
    _NAMES[_code] = _name.title().replace(" And ", " and ")
# Letters that ISO 3166-2 had or has besides GST's own; names and codes of before states were renamed or merged.
_GST_STATES |= {
    "tg": "36",
    "ap": "37",
    "ut": "05",
    "ct": "22",
    "or": "21",
    "25": "26",
    "dd": "26",
    "dn": "26",
    "28": "37",
}
_GST_STATES |= {"orissa": "21", "pondicherry": "34", "uttaranchal": "05", "nct of delhi": "07", "new delhi": "07"}

UNION_TERRITORIES = frozenset({"04", "26", "31", "35", "38", "97"})
"""Those without a legislature of their own: within them UTGST is charged in place of SGST."""


def gst_state(region: str) -> str | None:
    """Find the two digits that GST has for a state of India (a GSTIN begins with them), by themselves, by ISO 3166-2:IN
    (`IN-KA` or `KA`) or by name. None for what is no state."""
    words = " ".join(region.lower().replace("&", " and ").split())
    return _GST_STATES.get(words.removeprefix("in-"))


def gst_state_name(code: str) -> str:
    """Name a state of India by the two digits that `gst_state` gives: `Goa` for `30`."""
    return _NAMES[code]
