"""What is owed for what was used: prices, invoices, payments."""

from shared.bootstrap.alerts import Alerts
from shared.bootstrap.keys import Keys
from shared.bootstrap.webhooks import Webhooks


class Billing(Keys, Alerts, Webhooks):
    """The parts of `shared.billing`.

    A part is a `cached_property` that imports its module when it is built; it may use any part of the layers below.
    The handler of a task is registered in `Tasks`; what must be closed is named in `_CLOSED`.
    """
