"""Kinds of tasks that identity, and whoever mails somebody, leaves in the outbox."""

from shared.audit.tasks import Task


class SendMail(Task):
    """Send a mail to one address (`shared.identity.mails`). It may be delivered twice, never lost."""

    kind = "mail.send"

    to: str
    subject: str
    text: str


class FollowRoster(Task):
    """Make the role of the account `id` what the roster of admins says: `Admins.on_follow`."""

    kind = "account.follow_roster"

    id: str


class JoinMerchant(Task):
    """Have the account run the merchant from then on: `Staff.on_join`."""

    kind = "account.join_merchant"

    account_id: str
    merchant_id: str


class ReleaseLogin(Task):
    """Give a key up that the account had reserved, such as the hash of its former address:
    `AccountStore.on_release`."""

    kind = "login.release"

    key: str
    account_id: str
