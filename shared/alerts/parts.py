"""Alert rules: kept, and evaluated."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.access.parts import AccessParts
    from shared.alerts.evaluate import Evaluator
    from shared.alerts.service import AlertRules
    from shared.alerts.store import AlertStore
    from shared.audit.parts import AuditParts
    from shared.catalog.parts import CatalogParts
    from shared.identity.parts import IdentityParts
    from shared.metering.parts import MeteringParts
    from shared.platform import Ports


class AlertParts:
    """The services of `shared.alerts`, each made when it is first used."""

    def __init__(
        self,
        ports: "Ports",
        audit: "AuditParts",
        identity: "IdentityParts",
        catalog: "CatalogParts",
        access: "AccessParts",
        metering: "MeteringParts",
    ) -> None:
        self._ports = ports
        self._audit = audit
        self._identity = identity
        self._catalog = catalog
        self._access = access
        self._metering = metering

    @cached_property
    def store(self) -> "AlertStore":
        from shared.alerts.store import AlertStore

        return AlertStore(self._ports.documents)

    @cached_property
    def rules(self) -> "AlertRules":
        from shared.alerts.service import AlertRules

        return AlertRules(self.store, self._audit.journal, now=self._ports.now)

    @cached_property
    def evaluator(self) -> "Evaluator":
        from shared.alerts.evaluate import Evaluator
        from shared.alerts.recipients import RuleRecipients
        from shared.alerts.usage import RuleUsage

        usage = RuleUsage(
            self._access.store, self._metering.reader, self._metering.merchant_usage, self._metering.platform_usage
        )
        people = RuleRecipients(
            self._identity.store, self._access.store, self._catalog.store, self._audit.platform_settings
        )
        return Evaluator(self.store, self._audit.journal, usage, people, now=self._ports.now)
