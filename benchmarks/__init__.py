"""What is measured, against what, and how: `scripts/bench` (docs/performance.md says what the figures mean).

`measures/` holds one file per benchmark. `systems.py` and `postgres.py` start what is measured, `wrk.py` (as much as
goes), `open_loop.py` (a constant rate) and `visibility.py` put load on it, `checks.py` counts afterwards: a benchmark
whose counts are wrong fails. `results.py` writes what `results/` holds.
"""
