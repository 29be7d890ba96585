"""Evaluating every rule: a threshold that is reached is announced once per rule and period, whatever dies in between.

The order of durable steps: one transaction creates the document that says "fired" together with its mails and webhook
events; it can be created once. So two timers at once, or one that is killed and repeated, announce it once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shared.alerts.models import Fired, Rule
from shared.alerts.store import ALERTS, AlertStore, fired_document
from shared.alerts.usage import RuleUsage
from shared.audit.journal import Journal
from shared.audit.models import SYSTEM, Change
from shared.audit.tasks import Task
from shared.identity.mails import one_line
from shared.kernel.clock import format_time, utc_now
from shared.kernel.errors import Problem, Unavailable
from shared.kernel.ids import new_id
from shared.platform.documents import Create
from shared.webhooks.tasks import emit

FIRED_KEPT_S = 400 * 24 * 3600
RULES_AT_ONCE_MAX = 16
_logger = logging.getLogger(__name__)


class Recipients(Protocol):
    """Knows who gets a mail when a rule fires."""

    async def mails(self, rule: Rule, subject: str, text: str) -> Sequence[Task]:
        """Make mails to the people of the rule's owner."""
        ...


class Evaluator:
    """Evaluates rules: one run looks at every enabled rule; a rule that cannot be looked at does not keep the
    others."""

    def __init__(
        self,
        store: AlertStore,
        journal: Journal,
        usage: RuleUsage,
        recipients: Recipients,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._journal = journal
        self._usage = usage
        self._recipients = recipients
        self._now = now

    async def run(self) -> int:
        """Evaluate all enabled rules; returns how many fired."""
        limit = asyncio.Semaphore(RULES_AT_ONCE_MAX)

        async def evaluate(rule: Rule) -> bool:
            async with limit:
                try:
                    return await self.evaluate(rule)
                except (Unavailable, Problem) as error:  # such as too much usage to sum up, or an owner that is gone
                    _logger.warning("alert rule %s is looked at again in the next run: %s", rule.id, error)
                    return False

        rules = [rule async for rule in self._store.all_rules() if rule.status == "enabled"]
        return sum(await asyncio.gather(*(evaluate(rule) for rule in rules)))

    async def evaluate(self, rule: Rule) -> bool:
        """Evaluate one rule in its present period; returns whether it fired just now. Raises Problem, Unavailable."""
        now = self._now()
        period = format_time(now)[: 10 if rule.window == "day" else 7]
        if await self._store.has_fired(rule.owner_id, rule.id, period):
            return False
        value = await self._value(rule, period)
        return value is not None and value >= rule.threshold and await self._fire(rule, period, value, now)

    async def _value(self, rule: Rule, period: str) -> Decimal | None:
        """None when there is nothing to compare yet."""
        sums = await self._usage.sums(rule, period)
        if rule.metric == "quota_percent":
            quota = await self._usage.quota(rule)
            return None if quota is None else _percent(sums.requests, quota)
        if rule.metric == "error_rate_percent":
            errors = sum(count for status, count in sums.status.items() if status >= "400")
            return None if sums.requests < rule.requests_min else _percent(errors, sums.requests)
        return Decimal(getattr(sums, rule.metric))

    async def _fire(self, rule: Rule, period: str, value: Decimal, now: datetime) -> bool:
        fired = Fired(
            id=new_id("alt"),
            rule_id=rule.id,
            owner_id=rule.owner_id,
            name=rule.name,
            metric=rule.metric,
            period=period,
            threshold=rule.threshold,
            value=value,
            fired_at=now,
        )
        tasks: list[Task] = []
        if rule.mail:
            tasks += await self._recipients.mails(rule, *_mail_text(rule, period, value))
        if rule.webhook:
            payload = fired.model_dump(mode="json", exclude={"kind"})
            tasks.append(emit(rule.owner_id, "alert.fired", payload, now))
        write = Create(fired_document(rule.id, period), fired.to_json(), FIRED_KEPT_S)
        change = Change(
            SYSTEM, "alert.fire", f"alert:{rule.id}", before={}, after={"period": period, "value": str(value)}
        )
        try:
            await self._journal.commit(ALERTS, rule.owner_id, [write], change, tasks=tasks)
        except Problem:  # 409: another process was first
            return False
        return True


def _percent(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / Decimal(whole)).quantize(Decimal("0.01"))


def _mail_text(rule: Rule, period: str, value: Decimal) -> tuple[str, str]:
    name = one_line(rule.name)
    text = f"""Your alert rule "{name}" fired.

{rule.metric} in {period} (UTC): {value}, threshold {rule.threshold.normalize():f}.

It does not fire again in this period. You can change the rule in the portal.
"""
    return f"Alert: {name}", text
