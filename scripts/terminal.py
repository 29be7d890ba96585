"""What the commands write to a terminal: words for people, and errors on standard error."""

import typer
from rich.console import Console

errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def counted(number: int, thing: str) -> str:
    """Write a number with its noun: `1 line`, `2 lines`, `6,939 records`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def failure(message: str, code: int) -> typer.Exit:
    """Print the message on standard error. The caller raises what is returned, which ends the command with `code`."""
    errors.print(message)
    return typer.Exit(code)
