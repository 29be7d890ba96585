"""An invoice as a document: PDF, CSV, JSON, and XML that accounting software reads. reportlab is imported only here.

Every format is a pure function of the stored invoice (and its logo): the same invoice gives the same bytes, so that a
document can be rendered again anywhere and compared.
"""
