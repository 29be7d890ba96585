"""Who people are, and what they may do.

Owns accounts with their logins, sessions and roles, sign-in with the access tokens of OpenID Connect providers, the
permission table, and the guard that asks it for every route.

    models · permissions          what is stored; which relation allows which action
    store · guard                 documents in and out; the dependency that decides on a route
    admins · staff · mails        who is an admin, who runs a merchant, mails as tasks of the outbox
    sign_in                       from a token to an account and its session
    accounts                      what people and operators do with accounts

Modules further down this list may import those above them.

Not here: API keys (`shared.access.keys`); merchant invites (`shared.catalog.merchants`) and project invites
(`shared.access.projects`); what an account is to a consumer or a merchant is read in `shared.api.relations`.
"""
