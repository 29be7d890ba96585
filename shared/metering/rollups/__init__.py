"""Rollups: a UTC day's usage of a consumer, a service and the platform, derived from counters.

Owns the documents of rollups (`models`, `store`), summing a day of one scope up (`slices`), and doing so whenever its
counters changed (`deriving`). Why rollups are derived, and never added up:
docs/adr/0015-roll-ups-are-derived-from-counters.md.

A slice is one stored roll-up: the sums of one UTC day of a service, of the platform, or of a consumer and one service.

Not here: answering questions from them (`metering.views.reader`); the counters themselves (`metering.counting`).
"""
