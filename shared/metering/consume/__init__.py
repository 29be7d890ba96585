"""Consume: usage reports and forwarded calls, up to the moment at which their events are durable on the stream.

    functions/http/consume ──► service ──► ingest       a report: checked event by event, then published
                                  │  └───► forwarding   a call: to the merchant's API and back, its event spooled
                                  └──────► limits       rate limits and quotas of either
                               explain                  the same checks, asked without counting anything

Not here: keys and grants (`shared.access.gate`); counting (`metering.counting`).
"""
