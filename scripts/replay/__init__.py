"""A web server's access log as usage: the parts of `scripts/ams replay-access-log`.

`log_format.py` reads lines, `events.py` makes usage events of them, `keys.py` makes the consumers and remembers their
keys, `client.py` talks to AMS, `run.py` sends and waits until all is counted.
"""
