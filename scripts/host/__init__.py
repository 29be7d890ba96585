"""The local host: serves the function app by the rules of the Azure Functions worker, wherever there is Python.

`python -m scripts.host` starts it, and a container outside Azure runs the same. One process supervises
(`supervisor.py`); N workers answer HTTP on one shared socket (`worker.py`); one background process runs the event
triggers and the timers (`background.py`). A worker is uvicorn with stricter limits (`protocol.py`), whose requests
(`exchange.py`) go by route (`routing.py`) to the functions (`dispatch.py`) or to the portal's files (`static.py`).
"""
