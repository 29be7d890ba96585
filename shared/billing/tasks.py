"""Kinds of tasks that billing leaves in the outbox. The modules that do them are loaded when there is one to do."""

PRICES_TASK = "plan.tell"
"""Its data is `merchant_id` and `notice`: tell the subscribers of a service of a change of its prices
(`shared.billing.prices.notices`)."""

ISSUED_TASK = "invoice.issued"
"""Its data is `merchant_id`, `ids` and `at`: tell buyers and webhooks of invoices that were issued together, at that
time (`shared.billing.invoices.announcements`)."""
