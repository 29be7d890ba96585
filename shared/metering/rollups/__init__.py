"""Rollups: a UTC day's usage of a consumer, a service and the platform, derived from counters (docs/adr/0009).

Not here: answering questions from them (`metering.views.reader`); the counters themselves (`metering.counting`).
"""
