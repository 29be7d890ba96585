"""Peers for the contract tests: real SDKs talk to them over real sockets. Test code, never imported by the product."""
