"""Words for a terminal."""


def counted(number: int, thing: str) -> str:
    """`1 line`, `2 lines`, `6,939 records`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
