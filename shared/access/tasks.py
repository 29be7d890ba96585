"""Kinds of tasks that access leaves in the outbox. The modules that do them are loaded when there is one to do."""

from shared.audit.tasks import Task


class ClearProject(Task):
    """Take the people of a deleted project away: `Projects.on_clear`."""

    kind = "project.clear"

    consumer_id: str
    project_id: str


class DisableKeys(Task):
    """Disable what the transaction of a removal could not, because there are more keys than fit, or one was being made
    meanwhile: `Members.on_disable_keys`."""

    kind = "member.disable_keys"

    consumer_id: str
    project_id: str
    account_id: str


class FollowMembership(Task):
    """Bring a person's list of projects into line with a `Member` document, which is changed in the same commit:
    `Memberships.on_follow`."""

    kind = "membership.follow"

    consumer_id: str
    project_id: str
    account_id: str
