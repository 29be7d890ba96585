"""Grants: a consumer's access to a service, from the request to the decision, and its limitation to projects.

Not here: a merchant's restriction of a consumer (`access.subscribers`); enforcing grants on calls (`access.gate`).
"""
