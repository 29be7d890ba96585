"""What is offered: merchants and their services.

Owns merchants and their invites, services with their reviews, revisions, versions, OpenAPI documents and upstreams, and
the marketplace: search, public pages, sitemap, the static site.

    models                                what is stored
    store · tasks                         documents in and out; kinds of outbox tasks
    mails · logos · markdown · rate_checks
    services                              a service from draft to retired; what an approval decides
    openapi                               its OpenAPI document: imported, vetted, read
    merchants · upstreams · marketplace

Modules further down this list may import those above them; the names of the last line know nothing of each other.

Not here: who may use a service (`shared.access.grants`); what it costs (`shared.billing.prices`); forwarding calls to
its upstream (`shared.metering.consume`).
"""
