"""Routes of usage, one module for each audience: `holder` (an API key), `consumer`, `merchant`, `platform`; what they
take and give alike is in `parameters` and `answers`.
"""
