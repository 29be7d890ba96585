"""Alert rules: kept, and evaluated."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.bootstrap.metering import Metering

if TYPE_CHECKING:
    from shared.alerts.evaluate import Evaluator
    from shared.alerts.service import AlertRules
    from shared.alerts.store import AlertStore


class Alerts(Metering):
    """The parts of `shared.alerts`."""

    @cached_property
    def alert_store(self) -> "AlertStore":
        from shared.alerts.store import AlertStore

        return AlertStore(self.documents)

    @cached_property
    def alerts(self) -> "AlertRules":
        from shared.alerts.service import AlertRules

        return AlertRules(self.alert_store, self.journal)

    @cached_property
    def evaluator(self) -> "Evaluator":
        from shared.alerts.evaluate import Evaluator
        from shared.alerts.meter import UsageMeter
        from shared.alerts.recipients import RuleRecipients

        meter = UsageMeter(self.access, self.usage_reader, self.merchant_usage, self.platform_usage)
        people = RuleRecipients(self.identity, self.access, self.catalog, self.platform_settings)
        return Evaluator(self.alert_store, self.journal, meter, people)
