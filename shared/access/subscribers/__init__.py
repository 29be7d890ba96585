"""Subscribers: the consumers of a merchant's services as the merchant may see them, by pseudonym, and whom it
restricts.

The way from a pseudonym to a consumer is here (`directory`) and nowhere else.

Not here: how a pseudonym is made (`access.pseudonyms`); the platform's decision on a grant (`access.grants`).
"""
