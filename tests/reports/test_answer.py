"""The first sentence of the page: which models it names, and what it says when the results hold too little."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from reports.answer import Answer, answer_of
from reports.results import results_of
from reports.view import ResultsView


@pytest.fixture(scope="module")
def measured(results_maker) -> pd.DataFrame:
    """Rows of five models on 36 objects of 12 assets; 24 objects of 12 assets are below 1/1000 of the picture."""
    rows = pd.read_parquet(results_maker("answer", objects=36, side=60) / "results.parquet")
    number = rows["image_id"].astype(int)
    iou = {"flip-tiny": 0.8, "mobilesam-onnx": 0.4, "grabcut": 0.6, "box": 0.5, "ellipse": 0.7}
    noise = np.random.default_rng(0).normal(0, 0.05, len(rows))
    return rows.assign(fraction=np.where(number % 3 == 0, 0.01, 1e-4), iou=(rows["model"].map(iou) + noise).clip(0, 1))


def answer(rows: pd.DataFrame) -> Answer:
    results = results_of(rows)
    return answer_of(ResultsView(results, results.datasets[0], {}))


def of_models(rows: pd.DataFrame, *models: str) -> pd.DataFrame:
    return rows[rows["model"].isin(models)]


def test_the_highest_and_the_lowest_model_are_named_with_their_prompts_alone(measured) -> None:
    found = answer(measured)
    small = measured[measured["fraction"] < 1e-3]
    mean = small.groupby("model")["iou"].mean()
    numbers = [float(text) for kind, text in found.words if kind == "value"]
    assert numbers == pytest.approx(mean[["flip-tiny", "mobilesam-onnx", "ellipse", "box"]].tolist(), abs=0.005)
    assert [text for kind, text in found.words if kind == "model"] == ["flip-tiny", "mobilesam-onnx"]
    assert found.sentence.startswith("Below 1/1000 of the picture, flip-tiny keeps an IoU of 0.8")
    assert " where mobilesam-onnx has 0." in found.sentence
    assert "; the prompts alone give 0." in found.sentence
    assert found.sentence.count(" [") == 4
    assert found.details[0].startswith("24 objects of 12 assets, the same for every number.")
    assert "p < 0.001 after Bonferroni's adjustment for the 3 pairs of 3 models." in found.details[1]
    assert found.small_objects == 24


def test_models_with_one_prompt_have_one_prompt_alone(measured) -> None:
    found = answer(of_models(measured, "grabcut", "mobilesam-onnx", "box"))
    assert found.sentence.endswith(" (box).")
    assert "; the prompt alone gives " in found.sentence
    assert "adjust" not in found.details[1]


def test_models_that_do_not_differ_cannot_be_told_apart(measured) -> None:
    rows = of_models(measured, "grabcut", "flip-tiny", "box").copy()
    rows["iou"] = np.random.default_rng(1).uniform(0.3, 0.9, len(rows))
    assert answer(rows).sentence.endswith("; the prompt alone was not measured.") is False
    assert " cannot be told apart; " in answer(rows).sentence
    rows["iou"] = 0.5
    same = answer(rows)
    assert " cannot be told apart; " in same.sentence
    assert "have the same IoU on every object" in same.details[1]


def test_one_model_is_compared_with_its_prompt_only(measured) -> None:
    found = answer(of_models(measured, "flip-tiny", "ellipse"))
    assert found.sentence.startswith("Below 1/1000 of the picture, flip-tiny keeps an IoU of ")
    assert found.sentence.endswith("(ellipse).")
    assert "No second model can be compared with it." in found.details


def test_prompts_that_were_not_measured_are_said_to_be_missing(measured) -> None:
    none = answer(of_models(measured, "flip-tiny", "mobilesam-onnx"))
    assert none.sentence.endswith("; the prompt alone was not measured.")
    one = answer(of_models(measured, "flip-tiny", "mobilesam-onnx", "box"))
    assert one.sentence.endswith(" (box of mobilesam-onnx), that of flip-tiny was not measured.")
    partly = measured[(measured["model"] != "ellipse") | (measured["image_id"] != "1")]
    assert answer(partly).sentence.endswith(" (box of mobilesam-onnx), that of flip-tiny was not measured.")


def test_without_small_objects_all_sizes_count(measured) -> None:
    found = answer(measured[measured["fraction"] > 1e-3])
    assert found.sentence.startswith("No object here is below 1/1000 of the picture; over all sizes, flip-tiny keeps ")
    assert found.small_objects == 0


def test_few_clusters_of_small_objects_are_not_compared(measured) -> None:
    large = measured["fraction"] > 1e-3
    found = answer(measured[large | measured["asset_id"].isin(measured["asset_id"].unique()[:5])])
    begins = "Only 10 objects of 5 assets are below 1/1000 of the picture; over all sizes, flip-tiny keeps "
    assert found.sentence.startswith(begins)
    few = answer(measured[measured["asset_id"].isin(measured["asset_id"].unique()[:5])])
    assert few.sentence == "objascale has 15 objects of 5 assets, too few to compare models: at least 6 are needed."
    one = answer(measured[measured["image_id"] == "0"])
    assert one.sentence.startswith("objascale has 1 object of 1 asset, too few")


def test_models_that_have_seen_the_objects_or_are_untrained_are_left_out(measured) -> None:
    rows = measured.copy()
    rows.loc[rows["model"] == "flip-tiny", "seen_in_training"] = "object"
    rows.loc[rows["model"] == "mobilesam-onnx", "untrained"] = True
    found = answer(rows)
    assert found.sentence.startswith("Below 1/1000 of the picture, grabcut keeps an IoU of ")
    assert (
        "Not compared: flip-tiny (trained on some of these objects or on this data set); mobilesam-onnx (untrained)."
        in found.details
    )
    nothing = answer(of_models(rows, "flip-tiny", "ellipse"))
    assert nothing.sentence == "Below 1/1000 of the picture, no model can be compared."
    assert nothing.details[0].startswith("Not compared: flip-tiny")


def test_seen_backgrounds_and_unknown_training_data_are_marked(measured) -> None:
    rows = measured.copy()
    rows.loc[rows["model"] == "flip-tiny", "seen_in_training"] = "background"
    rows.loc[rows["model"] == "mobilesam-onnx", "seen_in_training"] = "unknown"
    found = answer(rows)
    marks = [text[4:] for kind, text in found.words if kind == "value"]
    assert marks == ["¶", "?", "", ""]
    assert any(detail.startswith("¶ trained on some of these backgrounds; ?") for detail in found.details)


def test_the_prompts_alone_are_no_models(measured) -> None:
    found = answer(of_models(measured, "box", "ellipse"))
    assert found.sentence == "Below 1/1000 of the picture, only the prompts alone were scored."


def test_only_objects_of_every_model_count(measured) -> None:
    rows = measured[(measured["model"] != "grabcut") | (measured["image_id"].astype(int) < 18)]
    found = answer(rows)
    assert "Not compared: grabcut (scored on fewer objects)." in found.details
    assert "2 models" not in found.sentence
    flip, sam = of_models(rows, "flip-tiny"), of_models(rows, "mobilesam-onnx")
    halves = pd.concat([flip[flip["image_id"].astype(int) < 18], sam[sam["image_id"].astype(int) >= 18]])
    assert answer(halves).sentence == (
        "Below 1/1000 of the picture, the models have no object in common, too few to compare them."
    )


def test_failures_count_as_zero_and_are_counted(measured) -> None:
    rows = measured.copy()
    failed = (rows["model"] == "mobilesam-onnx") & rows["image_id"].isin(["1", "2"])
    rows.loc[failed, ["error", "predicted_rle", "iou", "predicted_area"]] = ["ValueError: broken", None, 0.0, 0]
    assert any(detail.startswith("Errors (2) and empty masks (0)") for detail in answer(rows).details)


def test_photographs_without_assets_are_counted_as_pictures(measured) -> None:
    found = answer(measured.assign(asset_id=None))
    assert found.details[0].startswith("24 objects of 24 pictures, the same for every number.")


def test_noise_and_other_sources_of_prompts_are_not_mixed(measured) -> None:
    noisy = measured.assign(noise=0.2, iou=0.0)
    boxed = of_models(measured, "flip-tiny", "ellipse").assign(prompt_source="box", iou=0.0)
    both, alone = (answer(rows).words for rows in (pd.concat([measured, noisy, boxed]), measured))
    assert [word for word in both if word[0] == "interval"] == [word for word in alone if word[0] == "interval"]


def test_the_example_results_have_an_answer() -> None:
    folder = Path(__file__).parents[2] / "docs" / "results" / "furniture"
    found = answer(pd.read_parquet(folder / "results.parquet"))
    assert found.sentence.startswith("Below 1/1000 of the picture, grabcut keeps an IoU of 0.84 [0.79, 0.89] where ")
