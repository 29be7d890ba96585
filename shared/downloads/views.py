"""A link to a document, as the API shows it."""

from pydantic import AwareDatetime

from shared.downloads.service import Link
from shared.kernel.http.schemas import View


class DownloadLinkView(View):
    """A link to a document. That it was asked for is in the audit log."""

    url: str
    """Whoever has it can read the document until it expires."""
    expires_at: AwareDatetime
    """Until when it works: minutes."""

    @classmethod
    def of(cls, link: Link) -> "DownloadLinkView":
        return cls(url=link.url, expires_at=link.expires_at)
