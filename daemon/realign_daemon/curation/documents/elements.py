"""Element: what the names of HTML elements say of their text (HTML standard; unknown names are phrases)."""

from __future__ import annotations

from typing import Final


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A paragraph ends before and after these.
BLOCKS: Final = _names("""
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer
    form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre search section summary table tbody
    tfoot thead tr ul
""")
# These end no paragraph, but what stands before and after is not one word.
PARTED: Final = _names("br td th")
# These have no content.
VOIDS: Final = _names("area base br col embed hr img input link meta param source track wbr")
# What they hold is not the text of the page, or says it again.
LEFT_OUT: Final = _names("""
    annotation annotation-xml aside audio button canvas footer form iframe nav noscript object rp rt script select style
    svg template textarea title video
""")
# A header inside one of these has its title; elsewhere it is the site's.
SECTIONING: Final = _names("article main section")
# One of these ends where the next one begins.
CLOSED_BY_LIKE: Final = _names("dd dt li td th tr")
HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
