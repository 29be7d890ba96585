"""Countries as pycountry lists them, time zones as the database that AMS brings: the same on every machine."""

from functools import cache
from importlib.resources import files


@cache
def countries() -> frozenset[str]:
    """List the codes of ISO 3166-1 alpha-2. `UK` and `EL` are none of them: it is GB and GR."""
    import pycountry  # a start has no use for it

    return frozenset(country.alpha_2 for country in pycountry.countries)


@cache
def time_zones() -> frozenset[str]:
    """List the IANA names of time zones. A machine's own, such as `localtime`, are none of them."""
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


def check_country(code: str) -> str:
    """Check that a code is one of a country. Raises ValueError, saying the rule."""
    if code not in countries():
        raise ValueError("must be a country's code of ISO 3166-1 alpha-2, such as IN")
    return code
