"""Countries and time zones by name, as the time zone database that AMS brings lists them: the same on every machine."""

from functools import cache
from importlib.resources import files


@cache
def countries() -> frozenset[str]:
    """Codes of ISO 3166-1 alpha-2. `UK` and `EL` are none of them: it is GB and GR."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in table.splitlines() if line and not line.startswith("#"))


@cache
def time_zones() -> frozenset[str]:
    """IANA names. A machine's own, such as `localtime`, are none of them."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


def check_country(code: str) -> str:
    """Raises ValueError, saying the rule."""
    if code not in countries():
        raise ValueError("must be a country's code of ISO 3166-1 alpha-2, such as IN")
    return code
