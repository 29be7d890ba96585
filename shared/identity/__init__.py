"""Who people are, and what they may do.

Owns accounts with their logins, sessions and roles, sign-in with the access tokens of OpenID Connect providers, the
permission table, and the guard that asks it for every route.

    models · tasks · mails        what is stored; kinds of outbox tasks; mails, which are such tasks
    permissions · store           which relation allows which action; documents in and out
    authority                     what the guard asks on every request: who calls, and what are they to the object?
    admins · staff · guard        who is an admin; who runs a merchant; the dependency that decides on a route
    sign_in                       from a token to an account and its session
    accounts                      what people and operators do with accounts
    parts                         makes all of this

Modules further down this list may import those above them. One import runs against it, which import-linter is told to
ignore: `guard`, a dependency of every route, gets the authority from `parts`, as routes get their services.

Not here: API keys (`shared.access.keys`); merchant invites (`shared.catalog.merchants`) and project invites
(`shared.access.projects`); what an account is to a consumer or a merchant is read in `shared.api.relations`.
"""
