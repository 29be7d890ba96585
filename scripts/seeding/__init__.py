"""Markets from a file: what the file may say (`market.py`), and writing it into the store (`loader.py`, `billing.py`).

`scripts/ams seed` loads one, and a replay makes one of its own. Nothing here is part of the product: what people do in
the portal goes through the nouns' services.
"""
