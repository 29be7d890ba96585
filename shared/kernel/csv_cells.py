"""CSV that a spreadsheet cannot be tricked with: OWASP's rule against formula injection."""

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_FORMULA) else value
