"""Claims on the ranking of models: renders compared with photographs, by Kendall's τ."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from reports.claims import Finding
from reports.claims.ranking import Scores, clean_agrees, difficulty_agrees_better, kendall
from reports.claims.registry import CLAIMS
from reports.claims.verdict import judge
from reports.difficulty import CLEAN, OTHER, PHOTO, preset_of
from reports.results import ResultsTable
from reports.view import ResultsView

MODELS = ("flip-tiny", "mobilesam-onnx", "mobilesam-onnx@crop", "grabcut", "box")
ON_PHOTOGRAPHS, OPPOSITE = (0.9, 0.8, 0.7, 0.6, 0.3), (0.6, 0.7, 0.8, 0.9, 0.95)
PHOTO_STRENGTHS = {"noise": 1.0, "compression": 2.0, "context": 3.0}


def rows_of(
    dataset: str, means: Sequence[float], strengths: dict | None = None, n: int = 60, models: Sequence[str] = MODELS
) -> pd.DataFrame:
    """Return a row per model and object, two objects an image."""
    rng = np.random.default_rng(len(dataset))
    common = {"dataset": dataset, "difficulty": None if strengths is None else json.dumps(strengths)}
    parts = []
    for model, mean in zip(models, means, strict=True):
        images = [str(i // 2) for i in range(n)]
        own = {"model": model, "series": model, "cluster": images, "object": [str(i) for i in range(n)]}
        own |= {"iou": np.clip(mean + rng.normal(0, 0.05, n), 0, 1), "prompt": "box", "prompt_source": "matched"}
        own |= {"noise": 0.0, "tokens": np.nan, "untrained": False, "seen_in_training": "no"}
        parts.append(pd.DataFrame(own | common))
    return pd.concat(parts, ignore_index=True)


def view(dataset: str, *parts: pd.DataFrame) -> ResultsView:
    return ResultsView(ResultsTable(pd.concat(parts, ignore_index=True), [], [], []), dataset, {})


PHOTOGRAPHS = rows_of("masks/GrabCut50", ON_PHOTOGRAPHS)


def of_photographs(*renders: pd.DataFrame) -> ResultsView:
    return view("masks/GrabCut50", PHOTOGRAPHS, *renders)


@pytest.mark.parametrize("models", [2, 3, 5])
def test_tau_is_that_of_scipy(models: int) -> None:
    a, b = np.random.default_rng(1).integers(0, 4, (2, 50, models)).astype(float)
    expected = [kendalltau(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(kendall(a, b), expected, rtol=1e-12)


def test_the_opposite_order_on_clean_renders_contradicts_the_claim() -> None:
    (found,) = clean_agrees(of_photographs(rows_of("objascale", OPPOSITE)))
    assert (found.verdict, found.value, found.low, found.high) == ("does not hold", -1, -1, -1)
    assert "masks/GrabCut50: flip-tiny 0.9" in found.reason
    assert "objascale: grabcut 0." in found.reason
    assert "box" not in found.reason  # a prompt is no model


def test_the_same_order_on_clean_renders_meets_the_claim() -> None:
    (found,) = clean_agrees(of_photographs(rows_of("objascale", ON_PHOTOGRAPHS)))
    assert (found.verdict, found.value, found.n, found.clusters) == ("holds", 1, 60, 30)


def test_models_of_equal_quality_have_no_verdict() -> None:
    (found,) = clean_agrees(of_photographs(rows_of("objascale", (0.7, 0.7, 0.7, 0.7, 0.3))))
    assert found.verdict == "cannot be told"
    assert found.low < 0 < found.high


def test_photo_predicts_better_if_its_order_is_nearer() -> None:
    clean = rows_of("objascale (clean)", OPPOSITE)
    photo = rows_of("objascale (photo)", ON_PHOTOGRAPHS, PHOTO_STRENGTHS)
    here = of_photographs(clean, photo)
    (found,) = difficulty_agrees_better(here)
    assert (found.verdict, found.value) == ("holds", 2)
    assert found.about == "objascale (clean) and objascale (photo) with masks/GrabCut50"
    swapped = of_photographs(rows_of("objascale (clean)", ON_PHOTOGRAPHS), photo.assign(iou=1 - photo["iou"]))
    assert difficulty_agrees_better(swapped)[0].verdict == "does not hold"
    (claim,) = (each for each in CLAIMS if each.title == "photo predicts better than clean")
    assert str(judge(claim, here).verdict) == f"holds for {found.about}"


def few(dataset: str, **options: object) -> pd.DataFrame:
    return rows_of(dataset, ON_PHOTOGRAPHS, **options)


@pytest.mark.parametrize(
    ("here", "reason"),
    [
        (view("objascale", few("objascale")), "the claim is about photographs"),
        (of_photographs(), "no clean renders. Measure some with `objascale render --preset paper` and `bench run`"),
        (of_photographs(few("objascale", strengths={"noise": 4.0})), "no clean renders"),
        (of_photographs(rows_of("objascale", (0.9, 0.8), models=MODELS[:2])), "2 models have rows of all"),
        (of_photographs(few("objascale", n=30)), "objascale has 15 assets or images"),
        (of_photographs(few("objascale").assign(seen_in_training="dataset")), "0 models have rows of all"),
    ],
)
def test_what_is_not_measured_has_a_reason(here: ResultsView, reason: str) -> None:
    (found,) = clean_agrees(here)
    assert isinstance(found, Finding)
    assert (found.verdict, found.n) == ("cannot be told", 0)
    assert found.reason.startswith("Not measured: ")
    assert reason in found.reason


def test_without_renders_of_photo_there_is_no_comparison() -> None:
    (found,) = difficulty_agrees_better(of_photographs(few("objascale")))
    assert "no photo renders" in found.reason
    assert "--preset photo" in found.reason


@pytest.mark.parametrize(
    ("strengths", "preset"),
    [
        (None, CLEAN),
        (PHOTO_STRENGTHS, PHOTO),
        ({"noise": 1.0}, OTHER),  # photo has shadows
        (PHOTO_STRENGTHS | {"noise": 4.0}, OTHER),
        (PHOTO_STRENGTHS | {"occlusion": 1.0}, OTHER),
    ],
)
def test_the_preset_follows_from_the_strengths(strengths: dict | None, preset: str) -> None:
    assert preset_of(few("objascale", strengths=strengths)) == preset


def test_scores_count_only_objects_with_rows_of_every_model() -> None:
    rows = few("objascale").drop(index=0)
    scores = Scores.of("objascale", rows, MODELS)
    assert scores.counts.sum() == 59
    common = rows[rows["object"] != "0"]
    np.testing.assert_allclose(scores.means(), [common[common["series"] == name]["iou"].mean() for name in MODELS])
