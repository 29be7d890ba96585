"""Usage as invoices rest on it: one consumer's, in one period, of one merchant's services.

`month.py` reads a period: the day counters as sums (`sums.py`), and where a charge or the proof needs them the raw
records (`records.py`), from which `from_records.py` takes what sums cannot tell. `proofs.py` finds the records behind
an issued invoice again. Counting usage is `shared.metering.counting`; views of it are `shared.metering.views`.
"""
