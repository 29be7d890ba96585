"""Merchants: invited, registered, decided on by operators.

Owns a merchant's profile and status, and invites for new merchants. Who runs a merchant is on the account
(`shared.identity.staff`); what a merchant bills with is `shared.billing.profiles`.
"""
