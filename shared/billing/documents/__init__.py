"""Documents of invoices and credit notes: PDF, CSV, JSON, and XML that accounting software reads.

Every format is a pure function of the stored invoice (and its logo): the same invoice gives the same bytes, so that a
document can be rendered again anywhere and compared. `cache.py` keeps each document once it was made, `downloads.py`
gives out links to them. Pages, fonts and attachments of a PDF are `shared.pdf`; together with it and
`shared.reports.pdf`, this is the only package that imports reportlab.
"""
