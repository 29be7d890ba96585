"""Downloads: short-lived links to blobs, each written into the audit log before it is given out.

Who may have which document is decided by those who ask for a link: `shared.billing.documents`, `shared.reports`.
"""
