"""Every way out: one folder per port. `__init__.py` is the port, each other file one adapter."""
