"""HTTP triggers: consume, the portal's API (a catch-all before FastAPI), public pages, downloads, health and metrics.

Not here: the API's routes (`routes.py` of each noun in `shared/`) and serving them on one machine (`scripts/host`).
"""
