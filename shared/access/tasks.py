"""Kinds of tasks that access leaves in the outbox. The modules that do them are loaded when there is one to do."""

CLEAR_TASK = "project.clear"
"""Takes the people of a deleted project away: `Projects.on_clear`."""

KEYS_TASK = "member.disable_keys"
"""Disables what the transaction of a removal could not, because there are more keys than fit, or one was being made
meanwhile: `Members.on_disable_keys`."""

MEMBERSHIP_TASK = "membership.follow"
"""Brings a person's list of projects into line: `Memberships.on_follow`."""
