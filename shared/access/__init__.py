"""Access: who may use which service, and with which key.

Owns consumers (tenants on the consuming side), their projects and members, grants of services, API keys, and the gate
that decides on every call to consume. All of one consumer's documents are in one partition (`store`).

    models · pseudonyms · tasks           what is stored; what a merchant knows a consumer by; kinds of outbox tasks
    store                                 documents in and out
    concurrency · membership_guard        conditions that a transaction itself checks
    mails                                 who is told of a change
    consumers                             tenants, and their suspension
    grants · keys                         access to services; API keys: made, changed, rotated, expiring
    projects · subscribers · leaks · gate

Modules further down this list may import those above them; those of one of the last two lines know nothing of each
other.

Not here: accounts, sign-in and the guard of the API's routes (`shared.identity`); services and merchants
(`shared.catalog`); counting what a call used, rate limits and quotas (`shared.metering`).
"""
