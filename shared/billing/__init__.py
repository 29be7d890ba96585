"""Billing: what is owed for what was used. It owns prices, rating, taxes, the month's close, invoices and what becomes
of them.

| Sub-noun        | Owns                                                                                              |
|-----------------|---------------------------------------------------------------------------------------------------|
| `prices`        | versions of a service's price plan, from when each is in force, and telling subscribers of them   |
| `rating`        | what usage costs under a charge: pure functions on decimals                                       |
| `profiles`      | how a merchant bills, its terms with the platform, and what buyers want on their invoices         |
| `tax`           | tax ids, and which tax an invoice bears                                                           |
| `usage`         | how much of each metric a consumer used in a period, its raw records, their hash and proof        |
| `invoices`      | stored invoices and credit notes; lines, corrections, totals; lists; telling buyers               |
| `receivables`   | payments, voiding, credit notes, reminders                                                        |
| `documents`     | an invoice as PDF, CSV, JSON and e-invoice, kept once made; their downloads                       |
| `month_close`   | which period is due, and how it becomes invoices; drafts for previews                             |
| `verification`  | recomputing an invoice from its raw records, offline                                              |

Late usage: an event that is counted after its month's close is billed by the next close, as a correction. That is
decided in `month_close/drafting.py` (which earlier months changed) and computed in `invoices/corrections.py` (by how
much, line for line).

`charges.py` with `tiers.py` is the vocabulary of price plans, `numbering.py` that of consecutive numbers; `store.py` is
what all stores here are built on. Which sub-noun may import which is held by import-linter (pyproject.toml).

Not billing's: counting usage (`shared.metering`), usage reports (`shared.reports`), drawing a PDF page (`shared.pdf`),
links that are logged (`shared.downloads`), who the consumers and what their grants are (`shared.access`). Money is
recorded here, never taken: no payment provider is involved.
"""
