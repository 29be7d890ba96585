"""Who is calling: accounts, tokens, sessions, invites."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from shared.access.models import Consumer
from shared.access.store import ACCESS
from shared.audit.journal import Task, create
from shared.bootstrap.audit import Audit
from shared.identity.admins import Admins
from shared.identity.models import Account
from shared.identity.staff import Staff
from shared.identity.store import AccountStore

if TYPE_CHECKING:
    from shared.catalog.merchants.invites import Invites
    from shared.identity.accounts.service import Accounts
    from shared.identity.sign_in.enrolment import Enrolment
    from shared.identity.sign_in.service import SignIn
    from shared.identity.sign_in.sessions import Sessions
    from shared.identity.sign_in.tokens import Tokens


class Identity(Audit):
    """The parts of `shared.identity`."""

    @cached_property
    def identity(self) -> AccountStore:
        return AccountStore(self.documents)

    @cached_property
    def admins(self) -> Admins:
        return Admins(self.documents, self.journal, self.identity)

    @cached_property
    def staff(self) -> Staff:
        return Staff(self.documents, self.identity, self.journal)

    @cached_property
    def invites(self) -> "Invites":
        from shared.catalog.merchants.invites import Invites

        return Invites(self.documents, self.journal, self.platform_settings, self.limits, self.settings.ams_public_url)

    @cached_property
    def tokens(self) -> "Tokens":
        from shared.identity.sign_in.tokens import Tokens

        return Tokens(self.settings.ams_oidc_issuers, self.provider_http)

    @cached_property
    def sessions(self) -> "Sessions":
        from shared.identity.sign_in.sessions import Sessions

        return Sessions(self.documents, self.journal, self.identity, self.settings.ams_auth_cache_s)

    @cached_property
    def enrolment(self) -> "Enrolment":
        from shared.identity.sign_in.enrolment import Enrolment

        return Enrolment(self.identity, self.journal, self.admins, self.settings.ams_admins, _first_tasks)

    @cached_property
    def sign_in(self) -> "SignIn":
        from shared.identity.sign_in.service import SignIn

        return SignIn(self.tokens, self.enrolment, self.sessions, self.journal, self.settings.ams_auth_cache_s)

    @cached_property
    def accounts(self) -> "Accounts":
        from shared.identity.accounts.service import Accounts

        return Accounts(self.identity, self.journal, self.admins, self.enrolment)


def _first_tasks(account: Account) -> Sequence[Task]:
    """Everybody is a consumer: the tenant comes into being with the account."""
    consumer = Consumer(id=account.consumer_id, name=account.name, account_id=account.id, created_at=account.created_at)
    return [create(ACCESS, consumer.id, "consumer", consumer)]
