"""What everything stands on and nothing business lives in.

Owns ids, the clock, periods, money, countries, errors and their codes, caches, batching, retries, background work,
telemetry, and the bases of stored models (`documents`) and of HTTP (`http`).

Not here: anything that reaches outside the process (`shared.platform`), and any rule of the business (the nouns).
"""
