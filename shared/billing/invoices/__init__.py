"""Invoices: what is stored of them, and how their amounts are computed.

`lines.py` (what the period's own usage costs), `corrections.py` (what late usage of earlier periods changes) and
`totals.py` are pure functions, the same for previews, the month's close and verification. `credit.py` is what a
consumer has for its next invoices; `listing.py` and `views.py` show invoices, `announcements.py` tells of them.

Whose invoices are made when is `shared.billing.month_close`; what happens to an issued one is
`shared.billing.receivables`; its PDF and other forms are `shared.billing.documents`.
"""
