"""Verification: recomputing an invoice offline, from its PDF or JSON (`reading.py`) and exports of its raw records
(`recompute.py`), as a customer does with `scripts/verify_invoice`. It reads files only, no store.
"""
