"""HTTP/1.1 on a connection: uvicorn's protocol with bounded heads, deadlines and honest refusals.

`protocol.py` parses and keeps time, `request_head.py` checks a head, `exchange.py` is one request with its response,
`messages.py` says what a response may hold, `static.py` serves the portal's files. Nothing here knows functions: the
protocol hands each exchange to a handler. `tests/scripts/host/test_uvicorn.py` pins what is taken from uvicorn.
"""
