"""What everybody may see: search and facets, pages of services and merchants, sitemap, JSON-LD, the static site.

Owns no document: it follows those of `shared.catalog.services` and `merchants`. The index behind the search is the port
`shared.platform.search`; who may see a private service is asked through `details.Visitors`.
"""
