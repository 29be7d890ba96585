"""Metering: usage events are taken in, counted exactly once, and read back.

    consume ──► stream ──► counting ──► counters ──► rollups ──► views
    (events)   (platform)  (records)   (sums of a    (sums of    (sums as
                                       key's day)    a day)      they are asked for)

Modules of the package itself are what these share: `events` (a usage event), `counters` (sums, and how an event adds to
them), `store` (documents in and out, the API key's own usage), `windows` (ranges of time in any zone).

Not here: who may call (`shared.access.gate`); the stream and the spool (`shared.platform`); what usage costs
(`shared.billing.usage` reads counters and records by itself); thresholds (`shared.alerts`).
"""
