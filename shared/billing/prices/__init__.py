"""Prices: the versions of a service's price plan, and from when each is in force.

A version is announced, in force, or past; it is never changed. `service.py` decides when one takes effect, `notices.py`
tells the service's subscribers by mail, `calculator_routes.py` is the public price calculator. What usage costs under a
charge is `shared.billing.rating`; charges themselves are `shared.billing.charges`.
"""
