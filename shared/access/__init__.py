"""Access: who may use which service, and with which key.

Owns consumers (tenants on the consuming side), their projects and members, grants of services, API keys, and the gate
that decides on every call to consume. All of one consumer's documents are in one partition (`store`).

    models · pseudonyms                   what is stored, and what a merchant knows a consumer by
    store                                 documents in and out
    concurrency · membership_guard        conditions that a transaction itself checks
    mails                                 who is told of a change
    keys                                  API keys: made, changed, rotated, expiring
    consumers · grants · projects · subscribers · leaks · gate

Modules further down this list may import those above them; the names of the last line know nothing of each other.

Not here: accounts, sign-in and the guard of the API's routes (`shared.identity`); services and merchants
(`shared.catalog`); counting what a call used, rate limits and quotas (`shared.metering`).
"""
