"""Alerts: rules over usage, and telling an owner once per rule and period when a threshold is reached.

`service` changes rules, `evaluate` looks at all of them every minute, `meter` reads the usage that a rule looks
at, `recipients` says who is told.

Not here: summing usage (`shared.metering.views`); delivering mails and webhooks (the outbox, `shared.webhooks`).
"""
