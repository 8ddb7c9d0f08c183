"""Parts of the site that stand outside docs/: the changelog, the guide for contributors and the cards of the weights.

Each is a page with the same text. Links between these files and docs/ work on both sides.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from flip.choices import PAPER_MODELS

ROOT = Path(__file__).resolve().parents[1]
FILES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    **{f"flip/shipped/{model}{suffix}": f"{model}{suffix}" for model in PAPER_MODELS for suffix in (".md", ".json")},
}
"""File in the repository → file of the site."""

_LINK = re.compile(r"(\]\()([^)#:\s]+)(?=[)#])")

_LOADED = re.compile(
    r"""<(?:script|img|iframe|link rel="?(?:stylesheet|preconnect))\b[^>]*?(?:src|href)="?(https?://[^"\s>]+)"""
)


def on_files(files: Files, config: Any) -> Files:
    """Add the files of `FILES`."""
    for source, target in FILES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        content = with_site_links(text, posixpath.dirname(source)) if source.endswith(".md") else text
        files.append(File.generated(config, target, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links of a page in docs/ to one of `FILES` lead to its file of the site."""
    return with_site_links(markdown, "docs") if page.file.generated_by is None else markdown


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that loads something from the network."""
    if found := _LOADED.search(output):
        raise PluginError(f"{page.file.src_uri} loads {found[1]} from the network; put the file into docs/")
    return output


def with_site_links(text: str, folder: str) -> str:
    """Return Markdown of a file in a folder of the repository with its relative links as those of a page in docs/."""

    def link(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[2]))
        return found[1] + (FILES.get(target) or posixpath.relpath(target, "docs"))

    return _LINK.sub(link, text)
