"""Webhooks: what happened is posted, signed, to whoever asked for it (Standard Webhooks).

Owns what an owner is (a consumer, a merchant, or the platform: `owners.py`, for alerts and reports too), its webhooks,
their secrets, the deliveries with every attempt, and the sender. Not here: when something is to be posted, which the
nouns say with `tasks.emit`; trying again with growing pauses, which is the outbox's (`shared.audit.journal`).
"""
