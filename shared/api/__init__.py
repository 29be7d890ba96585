"""The portal's API: a FastAPI application made of the nouns' routes.

    app                     the application: every router, and the middleware around them
    edge · idempotency      what wraps every request: its id, its bound, safe headers; a repeated request is done once
    query                   query parameters that an operation does not have are refused
    answers                 every error as problem+json
    authority · relations   what the guard asks: who signed in, and what a person is to the object of a path
    operations              which operations there are, and the action that each asks the permission table for
    openapi                 the API's OpenAPI document, and what problem codes mean in it (code_descriptions)
    routes                  routes of no single noun: the audit log, platform settings, the API's own description

Not here: routes of nouns, which lie with their nouns; the guard that decides on each of them (`shared.identity.guard`).
"""
