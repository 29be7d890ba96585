"""What every route shares: bodies, fields, parameters, pages, ETags, problems.

    schemas · fields · parameters   bases of bodies; fields and parameters that many have, each described once
    provided                        how a route gets the services of its noun
    etags · problems · csv_cells    ETags and `If-Match`; problems that many raise; cells of CSV
    paging                          pages and cursors, which every store uses too
    operation_ids                   the names of operations in the OpenAPI document

Not here: the application itself, request ids and idempotency (`shared.api`); who may call a route
(`shared.identity.guard`).
"""
