"""What every route shares: the bases of bodies, pages and cursors, ETags, problems, cells of CSV.

Not here: the application itself, request ids and idempotency (`shared.api`); who may call a route
(`shared.identity.guard`).
"""
