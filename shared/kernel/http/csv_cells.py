"""CSV that a spreadsheet cannot be tricked with: OWASP's rule against formula injection."""

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are wide forms of the first, which some editions take for them."""


def safe_cell(value: object) -> object:
    """Put an apostrophe in front of text that a spreadsheet would take for a formula; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_FORMULA) else value
