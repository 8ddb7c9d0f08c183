"""`flip pseudo-label` finds objects, drops doubtful masks, and writes a data set with the record of its teacher."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as mask_api
from typer.testing import CliRunner

from flip.cli import app
from flip.gaussian import Gaussian
from flip.pseudo_labels.labels import LabelError, Labelling, list_pictures, training_data_of
from flip.pseudo_labels.masks import LabelSettings, find_masks, grid_points
from flip.pseudo_labels.teacher import Region
from flip.weights import sha256
from objascale.masks import RegionMask
from objascale.scenes.stored import StoredSource

SHAPES = [Gaussian.from_ellipse(40, 40, 18, 12, 20), Gaussian.from_ellipse(110, 70, 20, 20, 0)]
WIDTH, HEIGHT = 150, 110


def picture() -> NDArray[np.uint8]:
    image = np.random.default_rng(0).integers(0, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    for shape, colour in zip(SHAPES, ((220, 40, 30), (30, 200, 220)), strict=True):
        image[shape.ellipse_mask(WIDTH, HEIGHT).full()] = colour
    return image


class Floods:
    """A teacher that returns the connected region of one colour around the middle of its prompt.

    `unsteady` regions also depend on the prompt's box: their masks are not stable.
    """

    takes_scale = False

    def __init__(self, unsteady: bool = False, shift: int = 0) -> None:
        self.record: dict[str, Any] = {"name": "floods", "weights_sha256": f"{unsteady}{shift}", "datasets": ["sa1b"]}
        self.unsteady, self.shift = unsteady, shift

    def set_image(self, image: NDArray[np.uint8]) -> None:
        self.image = image

    def at_points(self, points: NDArray[np.float64], scale: float) -> list[RegionMask]:
        return [self._flood(int(x), int(y)) for x, y in points]

    def in_regions(self, regions: Sequence[Region]) -> list[RegionMask]:
        masks = []
        for region in regions:
            mask = self._flood(int(region.gaussian.x), int(region.gaussian.y))
            if self.unsteady and region.box != mask.box:
                mask = RegionMask.from_full(mask.full() & (np.arange(WIDTH) < region.gaussian.x))
            masks.append(RegionMask.from_full(np.roll(mask.full(), self.shift, 1)))
        return masks

    def _flood(self, x: int, y: int) -> RegionMask:
        flooded = np.zeros((HEIGHT + 2, WIDTH + 2), np.uint8)
        cv2.floodFill(self.image.copy(), flooded, (x, y), 0, (2,) * 3, (2,) * 3, cv2.FLOODFILL_MASK_ONLY | 4)
        return RegionMask.from_full(flooded[1:-1, 1:-1])


def test_each_object_is_found_once() -> None:
    found, dropped = find_masks(picture(), Floods(), Floods(), LabelSettings(grid=8))
    assert len(found) == 2
    for shape in SHAPES:
        assert max(each.mask.iou(shape.ellipse_mask(WIDTH, HEIGHT)) for each in found) == 1
    assert all(each.stability == each.agreement == 1 for each in found)
    assert dropped["repeated"] > 0
    assert dropped["size"] > 0, "single pixels of the background"


def test_unstable_masks_are_dropped() -> None:
    found, dropped = find_masks(picture(), Floods(unsteady=True), Floods(), LabelSettings(grid=8))
    assert not found
    assert dropped["unstable"] == 2


def test_masks_that_the_second_model_does_not_confirm_are_dropped() -> None:
    found, dropped = find_masks(picture(), Floods(), Floods(shift=12), LabelSettings(grid=8))
    assert not found
    assert dropped["not confirmed"] == 2


def test_grid_points_are_the_centres_of_equal_cells() -> None:
    assert grid_points(80, 40, 2).tolist() == [[20, 10], [60, 10], [20, 30], [60, 30]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deeper").mkdir(parents=True)
    bgr = cv2.cvtColor(picture(), cv2.COLOR_RGB2BGR)
    cv2.imwrite(str(folder / "a.png"), bgr)
    cv2.imwrite(str(folder / "deeper/b.png"), bgr[:, ::-1])
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_an_interrupted_run_continues_and_gives_a_source_of_scenes(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = Labelling(photos, out, Floods(), Floods(), LabelSettings(grid=4))
    files = run.begin()
    assert files == list_pictures(photos) == ["a.png", "broken.jpg", "deeper/b.png"]
    next(run.label(files))
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"file": "deeper/b')
    with pytest.raises(LabelError, match=f"another flip pseudo-label is writing to {out}"):
        Labelling(photos, out, Floods(), Floods(), LabelSettings(grid=4)).begin()
    run = Labelling(photos, out, Floods(), Floods(), LabelSettings(grid=4))
    left = run.begin()
    assert left == ["broken.jpg", "deeper/b.png"]
    assert len(list(run.label(left))) == 2
    shown, masks, failed = run.finish()
    assert (shown, masks, failed.total()) == (2, 4, 1)
    source = pickle.loads(pickle.dumps(StoredSource(out, seed=0)))
    scenes = [source.scene(position) for position in range(2)]
    assert sorted(len(scene.masks) for scene in scenes) == [2, 2]
    assert {scene.image.shape for scene in scenes} == {(HEIGHT, WIDTH, 3)}
    annotations = json.loads((out / "instances_pseudo.json").read_text())["annotations"]
    for each in annotations:
        inside = mask_api.decode(each["segmentation"]).astype(bool)
        x, y, width, height = each["bbox"]
        rows, columns = np.nonzero(inside)
        assert (x, y, x + width, y + height) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert each["area"] == inside.sum()
    assert training_data_of(out).datasets == ("sa1b",)
    assert training_data_of(photos) is None
    del run
    with pytest.raises(LabelError, match="has masks of other models or settings"):
        Labelling(photos, out, Floods(), Floods(), LabelSettings(grid=5)).begin()


def test_a_damaged_record_or_journal_is_an_error(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def begin() -> None:
        Labelling(photos, out, Floods(), Floods(), LabelSettings(grid=2)).begin()

    begin()
    (out / "journal.jsonl").write_text('{"file": "a.png"}\n')
    with pytest.raises(LabelError, match="line 1, is damaged"):
        begin()
    (out / "pseudo-labels.json").write_text("{")
    with pytest.raises(LabelError, match="is damaged"):
        begin()
    with pytest.raises(LabelError, match="is damaged"):
        training_data_of(out)


def test_the_command_labels_with_flip(photos: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "deeper/b.png").unlink()
    arguments = ["pseudo-label", str(photos), "--weights", str(weights), "--out", str(out), "--teacher", "flip-tiny"]
    arguments += ["--grid", "6"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "1 pictures left out" in done.output
    record = json.loads((out / "pseudo-labels.json").read_text())
    assert record["teacher"]["weights_sha256"] == sha256(weights / "flip-tiny.safetensors")
    assert record["teacher"]["datasets"] == ["sa1b"]
    masks = StoredSource(out, seed=0).scene(0).masks
    for shape, mask in zip(reversed(SHAPES), masks[:2], strict=True):  # the best two
        assert mask.iou(shape.ellipse_mask(WIDTH, HEIGHT)) > 0.9
    before = (out / "instances_pseudo.json").read_bytes()
    assert CliRunner().invoke(app, arguments).exit_code == 0
    assert (out / "instances_pseudo.json").read_bytes() == before


def test_the_command_asks_models_of_other_packages(
    photos: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry point is read from a folder on the path, as pip installs it."""
    installed = tmp_path / "site/suite-1.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: suite\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[flip.teachers]\nmodels = baselines.teachers:load_teacher\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    (photos / "deeper/b.png").unlink()
    arguments = ["pseudo-label", str(photos), "--weights", str(weights), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--teacher", "mobilesam-onnx", "--grid", "5", "--device", "cpu"])
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out/pseudo-labels.json").read_text())
    assert record["teacher"]["name"] == "mobilesam-onnx"
    assert record["second"]["name"] == "flip-tiny"
    (scene,) = [StoredSource(tmp_path / "out", seed=0).scene(0)]
    assert all(max(mask.iou(shape.ellipse_mask(WIDTH, HEIGHT)) for mask in scene.masks) > 0.9 for shape in SHAPES)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone", "--teacher", "flip-tiny"], "there is no folder gone"),
        (["empty", "--teacher", "flip-tiny"], "has no JPEG or PNG files"),
        (["photos", "--teacher", "gone.safetensors"], "there is no weights file"),
        (["photos", "--teacher", "no-model"], "no-model"),
    ],
)
def test_bad_input_is_an_error_of_one_line(
    arguments: list[str], reason: str, photos: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("empty").mkdir()
    done = CliRunner().invoke(app, ["pseudo-label", *arguments, "--weights", str(weights), "--out", "out"])
    assert done.exit_code == 1
    assert reason in done.output
    assert done.output.count("error:") == done.output.count("\n") == 1
    assert not Path("out").exists()
