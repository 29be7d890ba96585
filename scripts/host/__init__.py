"""The local host: serves the function app by the rules of the Azure Functions worker, wherever there is Python.

`python -m scripts.host` starts it, and a container outside Azure runs the same. One process supervises
(`supervisor.py`); N workers answer HTTP on one shared socket (`worker.py`); one background process runs the event
triggers and the timers (`background.py`). `functions/` finds and calls the functions, `http/` speaks HTTP/1.1;
`lifecycle.py` is how each process starts and stops, `options.py` what it is told. What a request means is the
functions' business.
"""
