"""Consumers: what a tenant says of itself, and its suspension by the platform.

Not here: its projects and people (`access.projects`), how a merchant sees it (`access.subscribers`), its billing
address and tax ids (`shared.billing.profiles`).
"""
