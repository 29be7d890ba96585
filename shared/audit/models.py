"""Audit entries, and what they are made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import BaseModel, Field

from shared.kernel.documents import StoredModel
from shared.kernel.ids import new_id


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something: an account in one of its roles, or the platform itself (`system`)."""

    account_id: str
    role: str
    request_id: str = ""


SYSTEM = Actor("system", "system")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one object. `action` is `<noun>.<verb>` (`service.approve`), `resource` its `<type>:<id>`.

    `before` and `after` hold only what differs; `changed` makes them from two models. They never hold a secret.
    """

    actor: Actor
    action: str
    resource: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


def changed(
    actor: Actor,
    action: str,
    resource: str,
    before: BaseModel | None,
    after: BaseModel | None,
    *,
    reason: str | None = None,
    secret: frozenset[str] = frozenset(),
) -> Change:
    """Make the change from one state of an object to the next. Fields in `secret` are left out."""
    old, new = _fields(before, secret), _fields(after, secret)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return Change(
        actor,
        action,
        resource,
        before={name: old[name] for name in names if name in old},
        after={name: new[name] for name in names if name in new},
        reason=reason,
    )


def _fields(model: BaseModel | None, secret: frozenset[str]) -> dict[str, Any]:
    return {} if model is None else model.model_dump(mode="json", exclude_none=True, exclude=set(secret))


class Entry(StoredModel):
    """A change in the log. `seq` counts from 1 within the month's chain; `hash` covers all other fields and, through
    `previous`, every entry before it (`shared.audit.chain`)."""

    id: str
    time: str
    actor: str
    role: str
    action: str
    resource: str
    before: dict[str, Any] = Field(default_factory=dict)
    after: dict[str, Any] = Field(default_factory=dict)
    reason: str | None = None
    request_id: str = ""
    seq: int = 0
    previous: str = ""
    hash: str = ""

    @classmethod
    def of(cls, change: Change, time: str) -> Self:
        return cls(
            id=new_id("aud"),
            time=time,
            actor=change.actor.account_id,
            role=change.actor.role,
            action=change.action,
            resource=change.resource,
            before=dict(change.before),
            after=dict(change.after),
            reason=change.reason,
            request_id=change.actor.request_id,
        )
