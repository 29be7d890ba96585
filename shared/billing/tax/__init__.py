"""Tax: which tax an invoice bears, from seller and buyer alone (`rules.py`), and the form of tax ids (`ids.py`).

Pure functions without any network, so that an invoice can be computed again anywhere.
"""
