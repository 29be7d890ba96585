"""Prices, rating, invoices, reports."""
