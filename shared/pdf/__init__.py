"""The PDF kit: pages with numbers, footer, metadata and attachments (`document.py`), fonts and text (`fonts.py`).

Equal input gives equal bytes. What is on the pages is the affair of `shared.billing.documents` and `shared.reports`.
"""
