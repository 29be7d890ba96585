"""Consume: usage reports and forwarded calls, up to the moment at which their events are durable on the stream.

    functions/http/consume ──► service ──► ingest       a report: read (parsing), checked event by event, published
                                  │  └───► forwarding   a call: sent and answered (exchange), its event spooled
                                  │                     (recorder); headers says which of them cross
                                  └──────► limits       rate limits and quotas of either
                               explain                  the same checks, asked without counting anything

Not here: keys and grants (`shared.access.gate`); counting (`metering.counting`).
"""
