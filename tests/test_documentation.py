"""README.md, links outside the site, and the hooks of the site."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.exceptions import PluginError

from flip.choices import PAPER_MODELS
from tests.docs_scripts import load_script

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\(([^)#]+)")


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 900


CARDS = [f"flip/shipped/{model}.md" for model in PAPER_MODELS]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *CARDS])
def test_every_link_of_a_page_outside_the_site_leads_to_a_file(page: str) -> None:
    links = [link for link in LINK.findall((ROOT / page).read_text()) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_links_lead_to_the_same_file_in_the_repository_and_on_the_site() -> None:
    hooks = load_script("hooks")
    card = "[guide](../../docs/flip.md#prompts), ![curve](../../docs/images/curve.png), [record](flip-s.json)"
    on_site = hooks.with_site_links(card, "flip/shipped")
    assert on_site == "[guide](flip.md#prompts), ![curve](images/curve.png), [record](flip-s.json)"
    page = (
        "[card](../flip/shipped/flip-s.md), [paper](https://arxiv.org/abs/2502.02763), [below](#b), [api](api/flip.md)"
    )
    on_site = hooks.with_site_links(page, "docs")
    assert on_site == "[card](flip-s.md), [paper](https://arxiv.org/abs/2502.02763), [below](#b), [api](api/flip.md)"


@pytest.mark.parametrize(
    "tag",
    ['<script src="https://example.org/a.js">', "<img alt=a src=https://example.org/a.png>"],
)
def test_the_site_refuses_a_page_that_loads_from_the_network(tag: str) -> None:
    hooks = load_script("hooks")
    page = SimpleNamespace(file=SimpleNamespace(src_uri="index.md"))
    assert hooks.on_post_page('<a href="https://example.org">', page=page)
    with pytest.raises(PluginError, match=r"index\.md loads https://example\.org/a\.\w+ from the network"):
        hooks.on_post_page(tag, page=page)
