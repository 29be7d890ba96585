"""From an access token to an account: verified (`tokens`, `issuers`, `signing_keys`), enrolled, in a session.

Owns which providers are trusted, the check of a token, an account's first sign-in (`enrolment`), and sessions with
their end. `service` is what the guard calls. Not here: what the account may do then (`shared.identity.permissions`),
and the provider for development (`scripts.provider`).
"""
