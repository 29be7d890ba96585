"""Where a service's calls go, as far as its merchant sets it up.

Owns the secret that goes with every call, the test of the connection, and telling the API gateway. Forwarding calls is
`shared.metering.consume`; the HTTP client with its rules is the port `shared.platform.upstream`.
"""
