"""The gate: may this key call this service now? Asked on every call to consume, answered from caches that are at most
`AMS_AUTH_CACHE_S` seconds old. Also counts the calls that were refused, for the key's owner (`refusal_counts`).

Not here: rate limits and quotas (`metering.consume.limits`); changing keys (`access.keys`) and grants
(`access.grants`).
"""
