"""The data of figures of objects and their patches."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from baselines.flip import FlipSegmenter
from bench.prompts import PromptSettings, settings_hash
from flip.gaussian import Gaussian
from flip.sampler import Patches
from flip.sampling import Sampling
from flip.show import PATCH_COLOURS
from flip.weights import find_weights
from objascale.masks import RegionMask
from reports.figures.examples import magnified_examples
from reports.figures.objects import (
    MAX_EMBEDDED_SIDE,
    ImagedObject,
    draw_crop,
    draw_patches,
    edges,
    imaged_objects,
    patches,
)
from reports.figures.patches import MAX_SCENE_OBJECTS, object_patches, sampling_stages, scene_patches
from reports.results import read_results
from reports.style import assign_styles
from reports.view import NothingToShow, ResultsView

EVERY = [sampling_stages, scene_patches, object_patches, magnified_examples]


def view(folder) -> ResultsView:
    results = read_results([folder])
    return ResultsView(results, results.datasets[0], assign_styles(results.rows["series"]))


@pytest.fixture(scope="module")
def usual(usual_results) -> ResultsView:
    return view(usual_results)


def squares(axes, size: int) -> np.ndarray:
    """Return the upper left corners of the patches of a size in the axes."""
    found = [patch.get_path().vertices for patch in axes.patches if patch.get_label() == f"{size} px"]
    return np.concatenate([vertices.reshape(-1, 5, 2)[:, 0] for vertices in found] or [np.empty((0, 2))])


def panels(drawn: list) -> list[Any]:
    return drawn[0].figure.axes


def with_settings(folder: Path, settings: dict[str, Any]) -> Path:
    """Set the settings with which the first model of a results folder was measured."""
    run = json.loads((folder / "run.json").read_text())
    run["models"][0]["settings"] = settings
    (folder / "run.json").write_text(json.dumps(run))
    rows = pd.read_parquet(folder / "results.parquet")
    rows.loc[rows["model"] == run["models"][0]["name"], "settings_hash"] = settings_hash(settings, PromptSettings())
    rows.to_parquet(folder / "results.parquet")
    return folder


def largest(of: ResultsView) -> ImagedObject:
    return next(imaged_objects(of.rows[of.rows["model"].str.startswith("flip")].sort_values("area", ascending=False)))


def same(some: Patches, others: Patches) -> bool:
    return some.unit == others.unit and all((some.centres[p] == others.centres[p]).all() for p in some.centres)


@pytest.mark.parametrize(("name", "glances", "shrinks"), [("flip-s", 4, True), ("flip-tiny", None, False)])
def test_the_drawn_patches_are_those_of_the_predictor(
    make_results, shared, name: str, glances: int | None, shrinks: bool
) -> None:
    """The settings are the recipe and the glances of flip-s, with a large object in a shrunk image."""
    weights = find_weights(name, shared / "assets" / "weights")
    segmenter = FlipSegmenter(name, weights)
    folder = make_results(models=(name,), objects=6, side=900)
    measured = view(with_settings(folder, segmenter.describe().settings))
    seen = largest(measured)
    predictor = segmenter.predictor
    predictor.set_image(seen.image)
    sampled = predictor.patches(Gaussian.from_moments(*seen.truth.moments()))
    assert (predictor.sampling.glances, sampled.unit > 1) == (glances, shrinks)
    assert same(patches(seen, measured), sampled)
    axes = Figure().subplots()
    draw_patches(axes, patches(seen, measured).boxes())
    drawn = {p: squares(axes, p) for p in PATCH_COLOURS}
    assert sum(map(len, drawn.values())) == len(sampled)
    for size, corners in drawn.items():
        assert corners == pytest.approx(sampled.centres[size] - size * sampled.unit / 2)


def test_a_patch_of_a_shrunk_picture_is_drawn_at_its_size_in_the_picture() -> None:
    two = Patches({2: np.zeros((1, 2, 2, 3), np.uint8)}, {2: np.array(((53.0, 33.0),))}, unit=3)
    axes = Figure().subplots()
    draw_patches(axes, two.boxes())
    assert axes.patches[0].get_path().vertices.tolist() == [[50, 30], [56, 30], [56, 36], [50, 36], [50, 30]]


def test_the_figure_uses_the_settings_of_the_run(usual_results, tmp_path) -> None:
    folder = tmp_path / "disjoint"
    shutil.copytree(usual_results, folder)
    settings = {"tokens": 512, "overlap": 0.0, "coverage": 0.3, "spread": 1.0, "least": 0.0, "seed": 7}
    disjoint = view(with_settings(folder, settings))
    boxes = patches(largest(disjoint), disjoint).boxes()
    box = np.concatenate([covered for covered in boxes.values() if len(covered)])
    low, high = np.maximum(box[:, None, :2], box[None, :, :2]), np.minimum(box[:, None, 2:], box[None, :, 2:])
    overlaps = (high - low > 1e-5).all(2)
    assert overlaps.sum() == len(box)  # each patch overlaps itself


def test_each_run_uses_its_settings(make_results) -> None:
    first, last = (make_results(name, ("flip-tiny",), 3, dataset=name, side=300) for name in ("first", "last"))
    both = read_results([first, with_settings(last, {"tokens": 512, "seed": 7})])
    seen, again = largest(ResultsView(both, "first", {})), largest(ResultsView(both, "last", {}))
    assert same(patches(seen, ResultsView(both, "first", {})), patches(seen, view(first)))
    assert not same(patches(seen, ResultsView(both, "first", {})), patches(again, ResultsView(both, "last", {})))


def test_each_number_of_patches_uses_its_settings(make_results) -> None:
    """A model measured with two numbers of patches has two cards of one name, with different glances."""
    folder = with_settings(make_results(models=("flip-s",), objects=3), {"tokens": 512, "glances": 4})
    run = json.loads((folder / "run.json").read_text())
    run["models"].insert(0, run["models"][0] | {"settings": {"tokens": 128, "glances": 1}})
    (folder / "run.json").write_text(json.dumps(run))
    seen = largest(view(folder))
    mean, covariance = seen.truth.moments()
    sampled = Sampling(512, glances=4).patches(seen.image, Gaussian.from_moments(mean, covariance))
    assert same(patches(seen, view(folder)), sampled)


def test_settings_without_a_run_are_a_reason_for_no_figure(make_results) -> None:
    unknown = view(make_results(models=("flip-tiny",), objects=3, settings_hash="f" * 12))
    with pytest.raises(NothingToShow, match="does not describe the settings of flip-tiny"):
        sampling_stages(unknown)


def test_the_stages_have_more_patches_and_the_mask_comes_last(usual) -> None:
    tiny, small, large, mask = panels(sampling_stages(usual))
    counts = [[len(squares(axes, size)) for size in (1, 2, 4, 8, 16)] for axes in (tiny, small, large, mask)]
    assert (counts[0][2:], counts[1][3:]) == ([0] * 3, [0] * 2)
    assert counts[1][:2] == counts[0][:2]
    assert counts[2][:3] == counts[1][:3]
    assert sum(counts[0]) < sum(counts[1]) < sum(counts[2])
    assert counts[3] == [0] * 5
    assert mask.get_title().startswith("mask: IoU 0.")
    assert str(sum(counts[2])) in sampling_stages(usual)[0].caption


def test_the_figure_shows_a_tiny_a_small_and_a_large_object(usual) -> None:
    axes = panels(object_patches(usual))
    above, below = axes[:3], axes[3:]
    assert [panel.get_title().split(":")[0] for panel in above] == ["tiny", "small", "large"]
    sizes = [float(panel.get_title().split("\n")[1].removesuffix(" px").replace(",", "")) for panel in above]
    flip = usual.plain[usual.plain["model"] == "flip-tiny"].sort_values("area")
    for size, third in zip(sizes, np.array_split(flip["area"].to_numpy(), 3), strict=True):
        assert size in third
    for one, other in zip(above, below, strict=True):
        assert (one.get_xlim(), one.get_ylim()) == (other.get_xlim(), other.get_ylim())
        shown = {size: squares(one, size) for size in PATCH_COLOURS}
        assert sum(map(len, shown.values())) > 10
        for size, corners in shown.items():
            if len(corners):
                assert (corners >= (one.get_xlim()[0], one.get_ylim()[1])).all()
                assert (corners + size <= (one.get_xlim()[1], one.get_ylim()[0])).all()
        outlines = [patch for patch in other.patches if isinstance(patch, PathPatch)]
        assert len(outlines) == 3  # the line of the truth, its outline, and the line of the model
        assert outlines[2].get_edgecolor() == pytest.approx(to_rgba(usual.styles["flip-tiny"].colour))


@pytest.fixture
def scene(make_results):
    """Write three images; the first has the objects of the first four."""
    folder = make_results("scene", ("flip-tiny", "box"), objects=6, side=300)
    rows = pd.read_parquet(folder / "results.parquet")
    first, picture = rows.iloc[0], ["image_file", "image_id", "image_sha256"]
    width, height = int(first["width"]), int(first["height"])
    mask = RegionMask(5, 9, np.ones((12, 17), bool), width, height)
    for number in range(1, 4):
        moved = RegionMask(20 * number, 9, np.ones((12, 3 * number), bool), width, height)
        chosen = rows["object_id"] == str(number)
        rows.loc[chosen, picture] = first[picture].tolist()
        rows.loc[chosen, ["width", "height", "area", "fraction"]] = [width, height, moved.area, moved.fraction]
        rows.loc[chosen, "truth_rle"] = moved.rle()["counts"]
        rows.loc[chosen, "predicted_rle"] = mask.rle()["counts"]
    rows.to_parquet(folder / "results.parquet")
    return view(folder)


def test_the_scene_figure_shows_a_picture_with_several_objects(scene) -> None:
    above, below = panels(scene_patches(scene))
    sizes = [patch.get_label() for patch in above.patches]
    assert sizes.count("1 px") == 4
    assert len(below.patches) == 4 * 3
    row = scene.rows.iloc[0]
    assert above.get_xlim() == (0, row["width"])
    assert below.get_ylim() == (row["height"], 0)


def test_a_crowded_picture_shows_some_of_its_objects_from_the_smallest_to_the_largest(make_results) -> None:
    folder = make_results(models=("flip-tiny",), objects=1)
    row = pd.read_parquet(folder / "results.parquet").iloc[0]
    width, height = int(row["width"]), int(row["height"])
    rows = []
    for number in range(1, 31):
        mask = RegionMask(3 * number, 9, np.ones((number, 2), bool), width, height)
        sizes = {"area": mask.area, "fraction": mask.fraction, "truth_rle": mask.rle()["counts"]}
        rows.append(
            {**row, "object_id": str(number), "predicted_rle": mask.rle()["counts"], "iou": number / 100} | sizes
        )
    pd.DataFrame(rows).sample(frac=1, random_state=0).to_parquet(folder / "results.parquet")
    drawn = scene_patches(view(folder))
    above, below = panels(drawn)
    assert [patch.get_label() for patch in above.patches].count("1 px") == MAX_SCENE_OBJECTS
    assert f"for each of {MAX_SCENE_OBJECTS} of 30 objects" in drawn[0].caption
    assert {"IoU 0.01", "IoU 0.30"} <= set(re.findall(r"IoU 0\.\d\d", drawn[0].caption))
    masks = [image.get_array() for image in below.images[1:]]
    assert len(masks) == MAX_SCENE_OBJECTS
    assert {mask.dtype for mask in masks} == {np.dtype(np.uint8)}


def test_pictures_with_one_object_give_no_scene(usual) -> None:
    with pytest.raises(NothingToShow, match="more than one object"):
        scene_patches(usual)


def test_examples_have_different_categories_and_a_magnifier_each(usual) -> None:
    drawn = magnified_examples(usual)
    axes = [panel for panel in panels(drawn) if panel.get_visible()]
    assert len(axes) == 4
    words = [panel.texts[0].get_text().split("\n") for panel in axes]
    assert len({category for category, *_ in words}) == 4
    objects = usual.rows.drop_duplicates("object")
    for panel, (category, area, frame) in zip(axes, words, strict=True):
        width, height = map(int, frame.removeprefix("of ").split("×"))
        (row,) = objects[
            (objects["area"] == float(area.split()[0].replace(",", "")))
            & (objects["category"].str.replace("_", " ") == category)
        ].to_dict("records")
        assert (row["width"], row["height"]) == (width, height)
        assert (panel.get_xlim(), panel.get_ylim()) == ((0, width), (height, 0))
        (lens,) = panel.child_axes
        truth = RegionMask.from_rle({"size": [height, width], "counts": row["truth_rle"]})
        assert truth.box is not None
        assert lens.get_xlim()[0] <= truth.box[0] < truth.box[2] <= lens.get_xlim()[1]
        assert lens.get_ylim()[1] <= truth.box[1] < truth.box[3] <= lens.get_ylim()[0]
        assert len(lens.images) == 1


def test_an_object_that_a_lens_does_not_magnify_is_no_example(make_results) -> None:
    folder = make_results(models=("box",), objects=1)
    rows = pd.read_parquet(folder / "results.parquet")
    width, height = int(rows["width"][0]), int(rows["height"][0])
    long = RegionMask(0, 9, np.ones((2, width - 8), bool), width, height)  # few pixels, across the image
    rows[["area", "fraction", "truth_rle"]] = long.area, long.fraction, long.rle()["counts"]
    rows.to_parquet(folder / "results.parquet")
    with pytest.raises(NothingToShow, match="small in its image"):
        magnified_examples(view(folder))


def test_names_are_no_formulas_and_long_names_are_complete(make_results) -> None:
    name = "flip-tiny-with-a-name-that-is-longer-than-half-a-column$_$"
    made = view(make_results(models=(name,), objects=4, category="a $b_{c$ d"))
    figure = sampling_stages(made)[0].figure
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert 0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= figure.bbox.x1
    magnified_examples(made)[0].figure.draw_without_rendering()


@pytest.mark.parametrize("draw", EVERY)
def test_missing_pictures_are_a_reason_for_no_figure(scene, make_results, tmp_path, draw) -> None:
    shutil.rmtree(tmp_path / "scene-data")
    with pytest.raises(NothingToShow, match="no image of these results can be read"):
        draw(scene)


@pytest.mark.parametrize("draw", EVERY[:3])
def test_results_without_flip_are_a_reason_for_no_figure(make_results, draw) -> None:
    with pytest.raises(NothingToShow, match="--models flip-tiny"):
        draw(view(make_results(models=("box",), objects=2)))


@pytest.mark.parametrize("column", ["truth_rle", "predicted_rle"])
@pytest.mark.parametrize("broken", ["~~", "0"])
def test_broken_masks_are_skipped(make_results, column: str, broken: str) -> None:
    folder = make_results(models=("flip-tiny",), objects=8, side=500)
    rows = pd.read_parquet(folder / "results.parquet")
    rows.loc[::2, column] = broken
    rows.to_parquet(folder / "results.parquet")
    assert object_patches(view(folder))[0].figure.axes


def test_a_large_picture_is_never_embedded_in_full() -> None:
    axes = Figure().subplots()
    draw_crop(axes, np.zeros((3000, 5000, 3), np.uint8), (0, 0, 5000, 3000))
    assert axes.images[0].get_size() == (MAX_EMBEDDED_SIDE * 3 // 5, MAX_EMBEDDED_SIDE)
    assert axes.images[0].get_extent() == [0, 5000, 3000, 0]


def test_edges_follow_pixel_borders() -> None:
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2] = True
    found = {tuple(map(tuple, np.sort(line, axis=0).tolist())) for line in edges(mask)}
    assert found == {
        ((2, 1), (3, 1)),
        ((2, 3), (3, 3)),
        ((2, 1), (2, 2)),
        ((2, 2), (2, 3)),
        ((3, 1), (3, 2)),
        ((3, 2), (3, 3)),
    }
    assert len(edges(np.ones((3, 3), bool))) == 0
