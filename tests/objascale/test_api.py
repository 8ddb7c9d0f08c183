"""`render` as a function."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from objascale import render
from objascale.dataset import DatasetError
from objascale.plan import PlanError
from objascale.sources import SourceError
from objascale.terminal import UsageError

OPTIONS = {"n": 5, "preset": "full", "min_px": 256, "max_px": 256, "max_fraction": 0.01}
OPTIONS |= {"samples": 4, "denoise": False, "seed": 3}


def test_a_missing_picture_is_rendered_as_the_command_renders_it(made, copy):
    journal = copy / "journal.jsonl"
    kept = [line for line in journal.read_text().splitlines(True) if json.loads(line).get("slot") != 2]
    journal.write_text("".join(kept))
    picture = copy / "images/000/000002.png"
    picture.unlink()
    given = {"objects": str(made.objects), "hdris": made.hdris, "workers": 1}
    dataset = render(copy, **given, **OPTIONS)
    assert picture.read_bytes() == (made.folder / "images/000/000002.png").read_bytes()
    assert [sample.image_id for sample in dataset.samples] == ["0", "1", "2", "3", "4"]
    assert dataset.samples[2].objects()[0].mask().area > 0
    with pytest.raises(DatasetError, match="was rendered with other settings"):
        render(copy, **given, **OPTIONS | {"seed": 4})
    with pytest.raises(DatasetError, match="depth: None → True"):
        render(copy, **given, **OPTIONS, depth=True)


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"npx": 3}, UsageError, "render has no option npx; did you mean min_px?"),
        ({"n": 0}, UsageError, "n is 0; give a number from 1"),
        ({"n": "many"}, UsageError, "n should be a valid integer"),
        ({"view": "agx"}, UsageError, "view should be 'AgX', 'Filmic' or 'Standard', not 'agx'"),
        ({"min_px": 10}, UsageError, "min_px should be greater than or equal to 64, not 10"),
        ({"device": "gpu"}, UsageError, "device is 'gpu'; give one of auto, cpu"),
        ({"workers": 0}, UsageError, "workers is 0; give a number from 1"),
        ({"timeout": -1}, UsageError, "timeout should be greater than 0, not -1"),
        ({"objects": "nowhere"}, SourceError, "the objects folder nowhere does not exist"),
        ({"hdris": "nowhere"}, SourceError, "the file or folder of environment maps nowhere does not exist"),
        ({"objects": "glbs", "exclude_categories": "cup"}, SourceError, "there is no 'cup' in this source"),
        ({"plan": "nowhere.json"}, PlanError, "there is no plan nowhere.json"),
        ({"plan": "plan.json", "n": 3}, UsageError, "--n cannot be given with --plan"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_writes_nothing(options, error, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("glbs/mug").mkdir(parents=True)
    Path("glbs/mug/a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with pytest.raises(error, match=sentence):
        render("out", **options)
    assert not Path("out").exists()
