"""A merchant's Markdown as HTML that is safe to show, and as plain text.

Two guards: the parser takes no raw HTML, and what it makes is sanitised as if it had. Images are left out, since they
would tell a third party who looks at the page.
"""

from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TAGS = {
    "a",
    "blockquote",
    "br",
    "code",
    "del",
    "em",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "ol",
    "p",
    "pre",
    "s",
    "strong",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES = {"http", "https", "mailto"}
_RELATION = "nofollow ugc noopener noreferrer"
_HEADINGS_FROM = 3
"""The page has the first two levels of headings itself."""


@cache
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")


@lru_cache(maxsize=1_024)
def render_markdown(text: str) -> str:
    """Safe HTML. The highest level of headings becomes 3; links are marked as not vouched for."""
    import nh3

    parser = _parser()
    tokens = parser.parse(text)
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    highest = min((int(token.tag[1]) for token in headings), default=1)
    for token in headings:
        token.tag = f"h{min(6, int(token.tag[1]) - highest + _HEADINGS_FROM)}"
    html: str = parser.renderer.render(tokens, parser.options, {})
    return nh3.clean(html, tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=_SCHEMES, link_rel=_RELATION)


@lru_cache(maxsize=4_096)
def plain_text(text: str, characters_max: int) -> str:
    """Return the words on one line, cut between two of them where it is longer."""
    inline = (token for token in _parser().parse(text) if token.type in ("inline", "code_block", "fence"))
    line = " ".join(" ".join(_words(token) for token in inline).split())
    if len(line) <= characters_max:
        return line
    return line[: characters_max - 1].rsplit(" ", 1)[0].rstrip(" ,;:.") + "…"


def _words(token: "Token") -> str:
    if token.children is None:
        return token.content
    return "".join(" " if child.type in ("softbreak", "hardbreak") else child.content for child in token.children)
