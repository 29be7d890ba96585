"""The function app as the Azure Functions worker sees it: found, checked, called.

`indexing.py` reads the triggers and bindings (`annotations.py`: the types that parameters may have), `invocation.py`
calls a function, and each kind of trigger has its own caller: `dispatch.py` with `routing.py` for HTTP,
`event_trigger.py` for batches of events, `timers.py` for schedules. Connections and bytes are in `scripts/host/http/`.
"""
