"""Profiles: how a merchant bills (zone, anchor day, number prefix, tax registrations), what it agreed with the
platform, and what a consumer wants on its invoices.

`parties.py` makes from them the seller and buyer that are frozen into invoices. Merchants themselves are
`shared.catalog.merchants`, consumers `shared.access.consumers`; how tax is chosen is `shared.billing.tax`.
"""
