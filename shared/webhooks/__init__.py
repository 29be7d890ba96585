"""Webhooks: what happened is posted, signed, to whoever asked for it (Standard Webhooks).

Owns the webhooks of an owner (a consumer, a merchant, or the platform), their secrets, the deliveries with every
attempt, and the sender. Not here: when something is to be posted, which the nouns say with `tasks.emit`; trying again
with growing pauses, which is the outbox's (`shared.audit.journal`).
"""
