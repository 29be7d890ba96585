"""Reports: usage of any range as a document (PDF or CSV), made in the background, in a process of its own.

The order of durable steps: a report is asked for (`queued`, `service.py`); a process claims it (`running`, with a lease
that it keeps renewing, `maker.py`); the document is written under a name that only this attempt has; one transaction
makes the report `done` and leaves mail, webhook and the consumer's copy in the outbox (`mails.py`). Whoever finds a
lease that is over begins a new attempt. `schedules.py` asks for the report of each month once it is over.

Figures come from the usage views (`shared.metering.views`) with all of their rules. Invoices are no reports: they are
`shared.billing`.
"""
