"""Receivables: what happens to an invoice once it is issued.

`service.py` records payments, voids invoices and gives credit notes (`credit_notes.py` computes and numbers them);
`reminders.py` makes unpaid invoices overdue and reminds their buyers. Mails and webhooks about all of this are written
in `shared.billing.invoices.announcements`.
"""
