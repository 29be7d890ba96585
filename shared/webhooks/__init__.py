"""Webhooks: what happened is posted, signed, to whoever asked for it (Standard Webhooks)."""
