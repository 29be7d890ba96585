"""Counting: events of the stream become usage records and counters, in one transaction, so that each counts once.

`aggregator` counts a batch: `event_check` says which of its events cannot be counted, `parked` keeps those, and
`writer` stores the others, each under the id that `record_ids` gives it. `reconciliation` counts closed days again.

Not here: how an event adds to a counter (`metering.counters`); sums over many consumers (`metering.rollups`).
"""
