"""Recognition of Creative Commons licences in the words of different sources."""

from __future__ import annotations

import re
from collections.abc import Sequence

from objascale.sources import Asset, SourceError

LICENCE_WORDS = ("cc0", "by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")
"""Short names of the licences, for all versions. `cc0` includes the public domain."""

_CREATIVE_COMMONS = re.compile(r"\bcc[- ]by\b|\bcreative commons attribution\b", re.IGNORECASE)
_CONDITIONS = {
    "nc": re.compile(r"\bnc\b|non[- ]?commercial", re.IGNORECASE),
    "sa": re.compile(r"\bsa\b|share[- ]?alike", re.IGNORECASE),
    "nd": re.compile(r"\bnd\b|no[- ]?deriv", re.IGNORECASE),
}


def licence_word(text: str) -> str:
    """Return the short name of a licence's name or text, such as "CC-BY-SA-4.0", or "" if there is none."""
    if re.search(r"\bcc-?0\b|public domain", text, re.IGNORECASE):
        return "cc0"
    if not _CREATIVE_COMMONS.search(text):
        return ""
    return "-".join(["by", *(short for short, pattern in _CONDITIONS.items() if pattern.search(text))])


def under_licences(assets: Sequence[Asset], words: Sequence[str]) -> list[Asset]:
    """Return the assets under one of the licences. Raises SourceError for a word that is not a licence."""
    wanted = {licence_word(word) or word.lower() for word in words}
    if unknown := wanted - set(LICENCE_WORDS):
        raise SourceError(f"{min(unknown)!r} is not a licence; choose among {', '.join(LICENCE_WORDS)}")
    return [asset for asset in assets if licence_word(asset.licence) in wanted]
