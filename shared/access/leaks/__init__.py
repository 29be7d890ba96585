"""Leaked keys: signed reports of keys that were found in public, in the format of GitHub's secret scanning.

Not here: what a revocation means for a key (`access.keys`).
"""
