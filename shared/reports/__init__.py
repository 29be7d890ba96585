"""Reports: usage of any range as a document, made in the background, in a process of its own.

The order of durable steps: a report is asked for (`queued`); a process claims it (`running`, with a lease that it keeps
renewing); the document is written under a name that only this attempt has; one transaction makes the report `done` and
leaves mail, webhook and the consumer's copy in the outbox. Whoever finds a lease that is over begins a new attempt.
"""
