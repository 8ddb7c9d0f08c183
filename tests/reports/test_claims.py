"""Verdicts of claims on rows with known verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.intervals import DIFFERENCE, SHARE
from reports.claims.evidence import EvidenceRows, decide, estimate
from reports.claims.registry import CLAIMS
from reports.claims.table import CLAIM_ROW, claims_table, judgements, verdict_words
from reports.claims.verdict import Judgement, Verdict, judge, pair_name
from reports.results import ResultsTable
from reports.view import ResultsView

N = 60


def rows(model: str, iou: Any, **columns: Any) -> pd.DataFrame:
    """Return a row per object, three objects per asset; `columns` replace the default columns."""
    n = len(np.atleast_1d(iou))
    usual = {
        "model": model,
        "weights_sha256": "ab",
        "settings_hash": "0",
        "series": model,
        "dataset": "objascale",
        "image_id": [str(i) for i in range(n)],
        "image_sha256": [f"{i:064d}" for i in range(n)],
        "object_id": "1",
        "object": [f"{i}/1" for i in range(n)],
        "asset_id": [f"asset/{i // 3}" for i in range(n)],
        "cluster": [f"asset/{i // 3}" for i in range(n)],
        "category": "mug",
        "width": 1000.0,
        "height": 1000.0,
        "area": 50.0,
        "fraction": 5e-5,
        "prompt": "gaussian" if model.startswith(("flip", "ellipse")) else "box",
        "prompt_source": "matched",
        "noise": 0.0,
        "tokens": 512.0 if model.startswith("flip") else np.nan,
        "untrained": False,
        "seen_in_training": "no",
        "exif": None,
        "ignored_rle": "",
        "error": None,
        "predicted_area": 50.0,
        "iou": np.atleast_1d(iou),
    }
    return pd.DataFrame(usual | columns)


def view(*parts: pd.DataFrame, dataset: str = "objascale") -> ResultsView:
    together = pd.concat(parts, ignore_index=True).assign(dataset=dataset)
    return ResultsView(ResultsTable(together, [], [], []), dataset, {})


def judged(title: str, *parts: pd.DataFrame, **view_of: Any) -> Judgement:
    (claim,) = (claim for claim in CLAIMS if claim.title == title)
    return judge(claim, view(*parts, **view_of))


def finds(title: str, *parts: pd.DataFrame, **view_of: Any) -> list:
    return judged(title, *parts, **view_of).findings


def spread(mean: float, n: int = N, seed: int = 0, scale: float = 0.05) -> np.ndarray:
    return np.clip(mean + np.random.default_rng(seed).normal(0, scale, n), 0, 1)


SMALL, OVERALL = "FLIP ahead on small objects", "FLIP ahead on ObjaScale"


@pytest.mark.parametrize(
    ("gap", "scale", "verdict"),
    [(0.3, 0.05, "holds"), (-0.3, 0.05, "does not hold"), (0.0, 0.05, "cannot be told")],
)
def test_flip_against_sam_on_small_objects(gap: float, scale: float, verdict: str) -> None:
    flip, sam = spread(0.5 + gap, seed=1, scale=scale), spread(0.5, seed=2, scale=scale)
    (found,) = finds(SMALL, rows("flip-tiny", flip), rows("sam-h", sam))
    assert (found.verdict, found.about, found.n, found.clusters) == (verdict, "flip-tiny − sam-h", N, N // 3)
    assert found.value == pytest.approx((flip - sam).mean())
    assert found.low < found.value < found.high


def test_only_objects_below_a_thousandth_of_the_picture_count() -> None:
    fraction = np.where(np.arange(N) < 30, 9.9e-4, 1e-3)
    flip = np.where(np.arange(N) < 30, 0.2, 0.9)
    (found,) = finds(SMALL, rows("flip-tiny", flip, fraction=fraction), rows("sam-h", spread(0.5), fraction=fraction))
    assert (found.verdict, found.n) == ("does not hold", 30)


@pytest.mark.parametrize(
    ("columns", "n", "words"),
    [
        ({}, 15, "The objects come from 5 assets or images; at least 6 are needed"),
        ({"cluster": "a", "asset_id": "a"}, N, "The objects come from 1 asset or image"),
        ({"fraction": 0.01}, N, "No objects."),
    ],
)
def test_too_few_assets_give_no_verdict(columns: dict, n: int, words: str) -> None:
    (found,) = finds(SMALL, rows("flip-tiny", [0.9] * n, **columns), rows("sam-h", [0.1] * n, **columns))
    assert found.verdict == "cannot be told"
    assert words in found.reason
    assert np.isnan([found.low, found.high, found.p]).all()


def test_every_flip_is_compared_with_every_sam_only() -> None:
    names = ["flip-tiny", "flip-l", "sam-b", "mobilesam", "efficientsam-t", "fastsam-x", "mobilesam@crop", "grabcut"]
    parts = [rows(name, spread(0.5, seed=i)) for i, name in enumerate(names)]
    for title, others in ((OVERALL, names[2:5]), (SMALL, names[2:6]), ("FLIP ahead of FastSAM", names[5:6])):
        assert {item.about for item in finds(title, *parts)} == {f"{a} − {b}" for a in names[:2] for b in others}


@pytest.mark.parametrize(
    ("parts", "absent"),
    [
        ([rows("flip-l", [0.5] * 9)], "sam-h,fastsam-x"),
        ([rows("sam-h", [0.5] * 9)], "flip-l,fastsam-x"),
        ([rows("box", [0.5])], "flip-l,sam-h,fastsam-x"),
    ],
)
def test_the_reason_names_the_command_that_measures_a_missing_model(parts: list, absent: str) -> None:
    said = judged(SMALL, *parts)
    assert (said.verdict.outcome, said.findings) == ("cannot be told", [])
    told = f"Not measured: {absent.replace(',', ', ')}. Measure with `bench run --models {absent}`."
    assert said.lacking == told


def test_untrained_models_give_no_verdict() -> None:
    said = judged(OVERALL, rows("flip-s", [0.0] * N, untrained=True), rows("sam-h", spread(0.5)))
    assert (said.verdict.measured, said.findings) == ((), [])
    assert "flip-s" in said.lacking


# ---- scope of a verdict


NINE = [(a, b) for a in ("flip-s", "flip-m", "flip-l") for b in ("sam-b", "sam-l", "sam-h")]


def measured(**iou: float) -> list[pd.DataFrame]:
    """Return rows of models with the given mean IoUs."""
    return [rows(name.replace("_", "-"), spread(mean, seed=i)) for i, (name, mean) in enumerate(iou.items())]


def test_one_pair_of_nine_does_not_decide_a_claim_on_all() -> None:
    said = judged(OVERALL, *measured(flip_s=0.8, sam_h=0.5))
    assert [found.verdict for found in said.findings] == ["holds"]
    assert said.verdict.outcome == "holds in part"
    assert str(said.verdict) == "holds for 1 of 9 pairs (1 measured): flip-s − sam-h"
    assert said.verdict.spoken_of == tuple(map(pair_name, NINE))
    assert said.lacking.startswith("Not measured: sam-b, sam-l, flip-m, flip-l. ")


def test_mobilesam_does_not_count_as_sam() -> None:
    others = measured(flip_s=0.8, mobilesam_onnx=0.5, efficientsam_t=0.5)
    others.append(rows("sam2.1-large", spread(0.5, seed=8)))
    said = judged(OVERALL, *others)
    assert [found.verdict for found in said.findings] == ["holds"] * 3
    assert said.findings[0].beside == "mobilesam-onnx is not in the claim"
    assert str(said.verdict) == "cannot be told (0 of 9 pairs measured)"


def test_a_released_flip_does_not_count_as_one_of_the_paper() -> None:
    said = judged(OVERALL, *measured(flip_tiny=0.8, flip_large=0.8, sam_b=0.5, sam_l=0.5, sam_h=0.5))
    assert {found.beside for found in said.findings} == {
        "flip-tiny is not in the claim",
        "flip-large is not in the claim",
    }
    assert str(said.verdict) == "cannot be told (0 of 9 pairs measured)"


def test_a_claim_holds_if_all_its_pairs_are_measured_and_hold() -> None:
    flips, sams = {"flip_s": 0.7, "flip_m": 0.8, "flip_l": 0.9}, {"sam_b": 0.4, "sam_l": 0.5, "sam_h": 0.45}
    assert str(judged(OVERALL, *measured(**flips, **sams)).verdict) == "holds for all 9 pairs"
    beaten = judged(OVERALL, *measured(**flips, **(sams | {"sam_h": 0.75}))).verdict
    assert beaten.outcome == "does not hold"
    assert str(beaten).startswith("does not hold for 1 of 9 pairs (9 measured): flip-s − sam-h; holds for flip-s − ")
    level = judged(OVERALL, *measured(**flips, sam_b=0.4, sam_l=0.5), rows("sam-h", spread(0.7, seed=0))).verdict
    assert (level.outcome, len(level.measured), len(level.holds)) == ("holds in part", 9, 8)


def test_all_variants_of_a_pair_must_hold() -> None:
    weights = [
        rows("flip-s", spread(iou, seed=i), series=f"flip-s: weights {i}", weights_sha256=str(i))
        for i, iou in enumerate((0.8, 0.2))
    ]
    assert judged(OVERALL, weights[0], *measured(sam_h=0.5)).verdict.holds == ("flip-s − sam-h",)
    assert judged(OVERALL, *weights, *measured(sam_h=0.5)).verdict.fails == ("flip-s − sam-h",)


@pytest.mark.parametrize("dataset", ["coco", "hypersim", "flip-hdf5/objascale-suite"])
def test_a_claim_on_objascale_is_not_judged_on_other_data_sets(dataset: str) -> None:
    said = judged(OVERALL, *measured(flip_s=0.8, sam_h=0.5), dataset=dataset)
    assert {found.beside for found in said.findings} == {"the claim is about ObjaScale"}
    assert said.verdict.measured == ()
    assert said.lacking == f"The claim is about ObjaScale, and this is {dataset}."


@pytest.mark.parametrize("dataset", ["objascale", "objascale (some/folder)", "flip-hdf5/ObjaScale"])
def test_objascale_has_several_names(dataset: str) -> None:
    assert judged(OVERALL, *measured(flip_s=0.8, sam_h=0.5), dataset=dataset).verdict.measured == ("flip-s − sam-h",)


def test_findings_on_a_part_of_the_objects_do_not_decide() -> None:
    """The claim holds within each size, and over all objects the models are equal."""
    fraction = np.where(np.arange(N) < 30, 5e-5, 0.1)
    gain = np.where(np.arange(N) < 30, -0.2, 0.2)
    crop = rows("sam-h@crop", spread(0.5, seed=1), fraction=fraction)
    said = judged("FLIP ahead of SAM on a crop", rows("flip-s", spread(0.5) + gain, fraction=fraction), crop)
    assert {(found.objects, found.beside) for found in said.findings} == {
        ("all", ""),
        ("10⁻⁵ to 10⁻⁴", "part of the objects"),
        ("above 10⁻²", "part of the objects"),
    }
    assert str(said.verdict) == "cannot be told (1 of 9 pairs measured)"
    assert not said.findings[0].beside, "the deciding finding comes first"


@given(st.lists(st.sampled_from(["absent", "holds", "does not hold", "cannot be told"]), min_size=1, max_size=9))
def test_a_verdict_covers_only_measured_pairs(each: list[str]) -> None:
    names = tuple(pair_name(pair) for pair in NINE[: len(each)])

    def those(*outcomes: str) -> tuple[str, ...]:
        return tuple(name for name, outcome in zip(names, each, strict=True) if outcome in outcomes)

    seen = those("holds", "does not hold", "cannot be told")
    verdict = Verdict("pair", names, seen, those("holds"), those("does not hold"))
    assert (verdict.outcome == "holds") == (set(each) == {"holds"})
    assert (verdict.outcome == "does not hold") == ("does not hold" in each)
    words = str(verdict)
    assert words.startswith(verdict.outcome.removesuffix(" in part"))
    if verdict.outcome != "holds":
        assert f"{len(seen)} " in words
        assert f" of {len(names)} pair" in words
    for name in those("absent", "cannot be told"):
        assert name not in words


def test_every_claim_names_its_models() -> None:
    """The exception is the claim on all models, whose sentence says "every measured model"."""
    for claim in CLAIMS:
        assert (claim.models is None) == ("every measured model" in claim.sentence)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.floats(-0.2, 0.2), st.integers(1, 40))
def test_swapping_two_models_negates_the_verdict(seed: int, gap: float, n: int) -> None:
    one, other = spread(0.5 + gap, n, seed), spread(0.5, n, seed + 1)
    (found,), (swapped,) = (
        finds(SMALL, rows("flip-tiny", a), rows("sam-h", b)) for a, b in ((one, other), (other, one))
    )
    opposite = {"holds": "does not hold", "does not hold": "holds", "cannot be told": "cannot be told"}
    assert swapped.verdict == opposite[found.verdict]
    assert (swapped.value, swapped.low, swapped.high) == pytest.approx(
        (-found.value, -found.high, -found.low), nan_ok=True
    )


@pytest.mark.parametrize(
    ("mean", "verdict"), [(0.0, "holds"), (0.3, "does not hold")], ids=["finds nothing", "finds something"]
)
def test_fastsam_on_tiny_objects(mean: float, verdict: str) -> None:
    iou = np.where(np.arange(N) < 30, spread(mean, scale=0.01), 0.9)
    fraction = np.where(np.arange(N) < 30, 9e-5, 1e-3)
    (found,) = finds("FastSAM fails on tiny objects", rows("fastsam-x", iou, fraction=fraction))
    assert (found.verdict, found.n) == (verdict, 30)


def sized(iou: Callable[[np.ndarray, np.ndarray], np.ndarray], sides: np.ndarray | None = None) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    n = 300
    side = np.exp(rng.uniform(np.log(500), np.log(8000), n)) if sides is None else sides
    fraction = 10 ** rng.uniform(-5, -1, n)
    area = fraction * side**2
    noisy = iou(np.log10(area), np.log10(fraction)) + rng.normal(0, 0.03, n)
    return rows("flip-tiny", noisy, width=side, height=side, area=area, fraction=fraction)


def saturating(log: np.ndarray, middle: float) -> np.ndarray:
    return 1 / (1 + np.exp(-2 * (log - middle)))


@pytest.mark.parametrize(
    ("iou", "verdict"),
    [
        (lambda px, fraction: saturating(px, 2.5), "holds"),
        (lambda px, fraction: saturating(fraction, -3), "does not hold"),
        (lambda px, fraction: 0.5 + 0.1 * (px - 3) + 0.1 * (fraction + 3), "cannot be told"),
        (lambda px, fraction: 0.5 + 0 * px, "cannot be told"),
    ],
    ids=["pixels", "fraction", "both alike", "neither"],
)
def test_pixels_or_fraction(iou, verdict: str) -> None:
    (found,) = finds("Pixels count, not the fraction", sized(iou))
    assert found.verdict == verdict, found
    assert "Ten times the pixels at the same fraction" in found.reason


def test_objects_without_a_common_size_cannot_separate_pixels_from_fraction() -> None:
    sides = np.geomspace(100, 30_000, 12)
    apart = rows("flip-tiny", spread(0.5, 12), width=sides, height=sides, area=sides**3, fraction=sides / 1e5)
    (found,) = finds("Pixels count, not the fraction", apart)
    assert found.verdict == "cannot be told"
    assert "nan" not in found.reason


def test_images_of_one_size_cannot_separate_pixels_from_fraction() -> None:
    (found,) = finds("Pixels count, not the fraction", sized(lambda px, _: saturating(px, 2.5), np.full(300, 1000.0)))
    assert (found.verdict, found.n) == ("cannot be told", 300)
    assert "differ too little in size" in found.reason


@pytest.mark.parametrize(
    ("few", "verdict"), [(0.795, "holds"), (0.85, "holds"), (0.7, "does not hold"), (0.78, "cannot be told")]
)
def test_a_hundred_patches(few: float, verdict: str) -> None:
    counts = {32: 0.5, 96: few, 256: 0.79, 1024: 0.8}
    noise = np.random.default_rng(3).normal(0, 0.02, (len(counts), N))
    parts = [
        rows("flip-tiny", iou + each - each.mean(), tokens=float(tokens), series=f"flip-tiny: {tokens} tokens")
        for (tokens, iou), each in zip(counts.items(), noise, strict=True)
    ]
    (found,) = finds("100 patches suffice", *parts)
    assert (found.verdict, found.about) == (verdict, "flip-tiny: 96 − 1024 patches")
    assert found.value == pytest.approx(few - 0.8)


@pytest.mark.parametrize("counts", [(512,), (96, 128), (32, 512)])
def test_a_plateau_needs_both_ends(counts: tuple[int, ...]) -> None:
    parts = [rows("flip-l", spread(0.5), tokens=float(n)) for n in counts]
    said = judged("100 patches suffice", *parts, dataset="openimages")
    assert (said.verdict.measured, said.findings) == ((), [])
    assert "--models flip-l --tokens 32,64" in said.lacking


def test_claims_on_all_objects_compare_over_all_sizes() -> None:
    parts = rows("flip-tiny", spread(0.8)), rows("sam-h", spread(0.5, seed=1)), rows("fastsam-s", spread(0.9, seed=2))
    assert [found.verdict for found in finds(OVERALL, *parts)] == ["holds"]
    assert [found.verdict for found in finds("FLIP ahead of FastSAM", *parts)] == ["does not hold"]


def test_each_model_is_compared_with_its_prompt_by_size() -> None:
    fraction = np.where(np.arange(N) < 30, 5e-5, 0.1)
    gain = np.where(np.arange(N) < 30, -0.2, 0.2)
    found = finds(
        "More than the prompt",
        rows("flip-tiny", spread(0.5) + gain, fraction=fraction),
        rows("sam-h", spread(0.5, seed=1) + gain, fraction=fraction),
        rows("ellipse", spread(0.5, seed=2), fraction=fraction),
        rows("box", spread(0.9, seed=3), fraction=fraction),
        rows("box", spread(0.1, seed=4), fraction=fraction, noise=0.1),
    )
    told = {(item.about, item.objects): item.verdict for item in found}
    assert told == {
        ("flip-tiny − its ellipse", "10⁻⁵ to 10⁻⁴"): "does not hold",
        ("flip-tiny − its ellipse", "above 10⁻²"): "holds",
        ("flip-tiny − its ellipse", "all"): "cannot be told",
        ("sam-h − its box", "10⁻⁵ to 10⁻⁴"): "does not hold",
        ("sam-h − its box", "above 10⁻²"): "does not hold",
        ("sam-h − its box", "all"): "does not hold",
    }


def test_a_missing_prompt_baseline_is_a_reason() -> None:
    found = finds("More than the prompt", rows("flip-tiny", spread(0.5)), rows("box", spread(0.4)))
    assert [(item.about, item.verdict) for item in found] == [("flip-tiny − its ellipse", "cannot be told")]
    assert "`bench run --models ellipse --prompt matched --noise 0`" in found[0].reason
    verdict = judged("More than the prompt", rows("flip-tiny", spread(0.5)), rows("box", spread(0.4))).verdict
    assert str(verdict) == "cannot be told (0 of 1 pair measured)"


def test_flip_is_compared_with_sam_on_a_crop_and_from_a_box() -> None:
    flip, crop = rows("flip-tiny", spread(0.6)), rows("mobilesam-onnx@crop", spread(0.8, seed=1))
    boxes = [
        rows(name, spread(iou), prompt_source="box") for name, iou in (("flip-tiny", 0.9), ("mobilesam-onnx", 0.5))
    ]
    on_crop = finds("FLIP ahead of SAM on a crop", flip, crop, *boxes)
    assert {(item.about, item.verdict) for item in on_crop} == {("flip-tiny − mobilesam-onnx@crop", "does not hold")}
    from_box = finds("FLIP ahead with the same box", flip, crop, *boxes)
    assert {(item.about, item.verdict) for item in from_box} == {("flip-tiny − mobilesam-onnx", "holds")}
    assert "--prompt box" in judged("FLIP ahead with the same box", flip, crop).lacking


def sample(values: Any, about: str = "", support: Any = DIFFERENCE) -> EvidenceRows:
    """Return rows with one object per cluster."""
    return EvidenceRows(
        about, "all", np.asarray(values), [str(i) for i in range(len(values))], np.ones(len(values)), support
    )


def test_many_comparisons_raise_the_bar_for_each() -> None:
    rng = np.random.default_rng(0)
    slight = rng.normal(0, 0.1, 20)
    slight += 0.06 - slight.mean()
    alone = [sample(slight, "slight")]
    others = [sample(rng.normal(0, 0.1, 20), str(i)) for i in range(30)]
    assert decide(estimate(alone))[0].verdict == "holds"
    found = decide(estimate(alone + others))[0]
    assert found.verdict == "cannot be told"
    assert "after Holm for 31 comparisons" in found.reason


def test_a_finding_with_too_few_assets_is_no_comparison() -> None:
    rng = np.random.default_rng(0)
    slight = rng.normal(0, 0.1, 20)
    few = [sample(rng.normal(0, 0.1, 5), str(i)) for i in range(30)]
    assert decide(estimate([sample(slight + 0.06 - slight.mean()), *few]))[0].verdict == "holds"


@pytest.mark.parametrize(("n", "verdict"), [(70, "cannot be told"), (75, "holds")])
def test_assets_without_hits_count_as_binomial_trials(n: int, verdict: str) -> None:
    """70 misses do not exclude 5 % hits, 75 do: 0.95^70 is 0.028, 0.95^75 is 0.021."""
    (found,) = decide(estimate([sample(np.zeros(n), support=SHARE)]), 0.05, above=False)
    assert (found.verdict, found.low) == (verdict, 0)
    assert found.p == pytest.approx(2 * 0.95**n)


def test_equal_models_give_no_verdict() -> None:
    (found,) = decide(estimate([sample(np.zeros(40))]))
    assert (found.verdict, found.reason) == (
        "cannot be told",
        "The values of all 40 assets are equal, so there is no interval.",
    )


@pytest.mark.parametrize("n", [6, 40])
def test_a_constant_difference_holds(n: int) -> None:
    (found,) = decide(estimate([sample(np.full(n, 0.3))]))
    assert (found.verdict, 0 < found.low < 0.3 < found.high) == ("holds", True)


def test_the_table_has_every_claim_and_is_reproducible() -> None:
    parts = rows("flip-tiny", spread(0.8)), rows("sam-h", spread(0.5, seed=1)), rows("box", spread(0.4, seed=2))
    table = claims_table(view(*parts))
    assert [row[0].text for row in table.cells if row[1].text == CLAIM_ROW] == [claim.title for claim in CLAIMS]
    assert all(claim.sentence in " ".join(table.notes) for claim in CLAIMS)
    assert "no interval for fewer than 6 assets" in table.notes[-2]
    assert table.notes[-1] == "Errors and empty masks count as IoU 0: none."
    pd.testing.assert_frame_equal(table.data, claims_table(view(*parts)).data)
    assert set(claims_table(view(*parts), ("ours",)).data["against"]) == {"ours"}
    assert not any("nan" in text.lower() for row in table.cells for cell in row for text in astuple(cell))


def test_table_and_data_equal_the_judgements() -> None:
    here = view(*measured(flip_s=0.8, sam_b=0.5, mobilesam=0.4, box=0.3, ellipse=0.3))
    table = claims_table(here)
    said: list[tuple[str, str, str]] = []
    for each in judgements(here):
        said.append((each.claim.title, CLAIM_ROW, str(each.verdict)))
        said += [(each.claim.title, found.about, verdict_words(found)) for found in each.findings]
    assert [(row[0].text, row[1].text, row[7].text) for row in table.cells] == said
    assert list(table.data[["claim", "about", "verdict"]].itertuples(index=False, name=None)) == said
    whole = table.data[table.data["about"] == CLAIM_ROW].set_index("claim")
    assert whole.loc[OVERALL, ["measured", "spoken_of", "outcome"]].tolist() == [1, 9, "holds in part"]


def ious(clusters: np.ndarray, rng: np.random.Generator, missed: float) -> np.ndarray:
    """Return IoUs that are correlated within a cluster; most objects of some assets have IoU 0."""
    assets = int(clusters.max()) + 1
    quality, often = rng.normal(1.5, 0.8, assets), rng.beta(2 * missed, 2 - 2 * missed, assets)
    hit = 1 / (1 + np.exp(-quality[clusters] - rng.normal(0, 0.5, len(clusters))))
    return np.where(rng.random(len(clusters)) < often[clusters], 0.0, hit)


@pytest.mark.parametrize(
    ("assets", "draws"),
    [(6, 200), *(pytest.param(assets, 2000, marks=pytest.mark.slow) for assets in (6, 8, 12, 30, 100))],
)
def test_equal_models_get_a_verdict_in_a_twentieth_of_cases(assets: int, draws: int) -> None:
    rng, found = np.random.default_rng(assets), 0
    for _ in range(draws):
        clusters = np.repeat(np.arange(assets), rng.integers(1, 8, assets))
        values = ious(clusters, rng, 0.1) - ious(clusters, rng, 0.1)
        equal = EvidenceRows("", "", values, [str(c) for c in clusters], np.ones(len(clusters)), DIFFERENCE)
        found += decide(estimate([equal]))[0].verdict != "cannot be told"
    print(f"{assets} assets: {found / draws:.3f}")
    assert found / draws <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("assets", [6, 8, 12, 30, 100])
def test_a_mean_on_the_bound_gets_a_verdict_in_a_twentieth_of_cases(assets: int) -> None:
    """The model segments one object of sixteen, and its mean is the bound, as in the claim on FastSAM."""
    rng, found = np.random.default_rng(assets), 0
    many = np.repeat(np.arange(200_000), 4)
    bound = ious(many, rng, 15 / 16).mean()
    for _ in range(2000):
        clusters = np.repeat(np.arange(assets), rng.integers(1, 8, assets))
        rare = ious(clusters, rng, 15 / 16)
        mean = EvidenceRows("", "", rare, [str(c) for c in clusters], np.ones(len(clusters)), SHARE)
        found += decide(estimate([mean]), bound, above=False)[0].verdict != "cannot be told"
    print(f"{assets} assets: {found / 2000:.3f}")
    assert found / 2000 <= 0.06
