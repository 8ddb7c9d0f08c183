"""The splits of the starter source: defaults of the commands, and the option that selects the other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from objascale.commands.options import AssetOptions, PlanOptions
from objascale.commands.planning import choose_assets
from objascale.sources import STARTER_AUTHOR, embedded
from objascale.sources.starter import CATEGORIES

pytest.importorskip("bpy", reason="needs Blender's Python package, which is not installed")


@pytest.fixture(autouse=True)
def _one_category(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(embedded, "CATEGORIES", {"apple": CATEGORIES["apple"]})


@pytest.mark.parametrize(
    ("options", "variants"),
    [
        (PlanOptions(), range(6, 12)),
        (PlanOptions(starter_split="train"), range(6)),
        (AssetOptions(source="starter"), range(6)),
        (AssetOptions(source="starter", starter_split="test"), range(6, 12)),
    ],
    ids=["render", "render --starter-split train", "crops", "crops --starter-split test"],
)
def test_render_uses_the_test_split_and_crops_the_other(options: AssetOptions, variants: range) -> None:
    objects, _, request = choose_assets(options, 4)
    assert [each.id for each in objects] == [f"apple/apple-{variant}" for variant in variants]
    assert {each.author for each in objects} == {STARTER_AUTHOR}
    assert request["starter_split"] == options.starter_split


def test_the_demo_renders_the_default_split() -> None:
    (command,) = re.findall(
        r"objascale render .* --out demo/data", (Path(__file__).parents[2] / "Makefile").read_text()
    )
    assert "--source starter" in command
    assert "--starter-split train" not in command
