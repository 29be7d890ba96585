"""Counting: events of the stream become usage records and counters, in one transaction, so that each counts once.

`aggregator` counts a batch, `parked` keeps what cannot be counted, `reconciliation` counts closed days again.

Not here: how an event adds to a counter (`metering.counters`); sums over many consumers (`metering.rollups`).
"""
