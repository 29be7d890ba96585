"""The month's close: every merchant's every period that is over becomes invoices, in order, each exactly once.

A close, from its beginning to its end:

1. `service.py: Closer.run` is called by the timer every hour, for every merchant who bills: `next_period` says which
   period is due, `close` closes it when it and its grace are over.
2. `Closer.draft_close` freezes what its invoices depend on besides usage (seller, profile, commission, dates) in the
   close's document, which `models.py` describes. From then on, going on after a kill gives the same invoices.
3. `drafting.py: Drafter.load_basis` reads what all of its invoices share: the plans in force, the earlier periods that
   late usage may correct.
4. `run.py: CloseRun` works on it in three stages: `retry_held` (those who could not be billed before),
   `process_remaining` (everybody behind the last one done, from `subscribers.py`, in the order of their pseudonyms, so
   that numbers come out the same), and `finish`.
5. For each subscriber, `drafting.py: Drafter.draft_invoices` reads usage and computes its invoices, corrections of
   earlier periods included.
6. `issuing.py: InvoiceIssuer.issue` gives a group of drafts their numbers and stores them, in one transaction with the
   credit that they use. What exists already is success, and rests as it is.
7. A consumer who cannot be billed, because its counters and records differ, is held with the reason, the platform is
   told, and the next run tries again; the next period waits until nobody is held, because corrections rest on what was
   billed before.
8. `filing.py` makes the documents of what was issued before anybody asks for them.

When two processes close the same period they do the same, and the store decides. `previews.py` takes steps 2, 3 and 5
without storing anything. How amounts are computed is `shared.billing.invoices`; what happens to an invoice afterwards
is `shared.billing.receivables`.
"""
