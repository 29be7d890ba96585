"""What a benchmark found: one JSON file each, and one table of all of them in README.md."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

Verdict = Literal["met", "missed", "stated"]


class Line(msgspec.Struct, frozen=True):
    """One line of the table. `goal` is the issue's text; "stated" is for what has no goal."""

    what: str
    measured: str
    goal: str = ""
    verdict: Verdict = "stated"


class Result(msgspec.Struct, frozen=True):
    """`runs` holds every run's raw figures, in the order in which they were taken. `full` is false for a short run,
    whose figures say only that the benchmark works."""

    name: str
    full: bool
    conditions: dict[str, str]
    lines: list[Line]
    runs: list[dict[str, Any]]
    machine: dict[str, str] = {}
    measured_at: str = ""


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float], unit: str = "", digits: int = 0) -> str:
    """The median, and between which values all runs were: `12,000 (11,500-12,300) events/s`."""
    middle, low, high = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return f"{middle} ({low}-{high}){' ' if unit else ''}{unit}"


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    """Pair by pair, so that what disturbed one pair disturbs one ratio."""
    return [a / b for a, b in zip(of, to, strict=True)]


def at_least(value: float, goal: float) -> Verdict:
    return "met" if value >= goal else "missed"


def at_most(value: float, goal: float) -> Verdict:
    return "met" if value <= goal else "missed"


def write(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    body = msgspec.json.format(msgspec.json.encode(result), indent=1)
    (folder / f"{result.name}.json").write_bytes(body + b"\n")


def write_table(folder: Path, names: Sequence[str]) -> str:
    """README.md from the results of `names` that are in the folder, in that order. Returns its text."""
    files = [folder / f"{name}.json" for name in names]
    results = [msgspec.json.decode(file.read_bytes(), type=Result) for file in files if file.exists()]
    text = "\n".join(_table(results))
    (folder / "README.md").write_text(text)
    return text


def _table(results: Sequence[Result]) -> list[str]:
    lines = [
        "# Results",
        "",
        "Written by `scripts/bench`; [docs/performance.md](../../docs/performance.md) says how it measures.",
        "Each figure is the median of the paired runs, in brackets the lowest and the highest. Ratios are taken",
        "pair by pair.",
        "",
        *([] if results else ["Nothing has been measured yet.", ""]),
        "| What | Measured | Goal | |",
        "|---|---|---|---|",
    ]
    for result in results:
        short = "" if result.full else " (short run: says only that it works)"
        lines += [f"| {line.what}{short} | {line.measured} | {line.goal} | {_mark(line)} |" for line in result.lines]
    for result in results:
        lines += ["", f"## {result.name}", "", f"Measured {result.measured_at}, {len(result.runs)} runs.", ""]
        lines += [f"- {name}: {value}" for name, value in result.conditions.items()]
    for machine in _different([result.machine for result in results]):
        lines += ["", "## Machine", "", *(f"- {name}: {value}" for name, value in machine.items())]
    return [*lines, ""]


def _mark(line: Line) -> str:
    return {"met": "met", "missed": "**missed**", "stated": ""}[line.verdict]


def _different(machines: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for machine in machines:
        if machine not in found:
            found.append(machine)
    return found
