"""API keys: their format and hashes, making and rotating them, their states, networks, and notices before they expire.

`writer` is the only way in which a stored key is changed, so that a revoked key stays revoked.

Not here: checking a key on a call (`access.gate`); keys that were found in public (`access.leaks`); a merchant who
takes its services from a key (`access.subscribers.key_revocation`).
"""
