"""Make submissions of a results folder, or refuse it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from bench.choices import PROTOCOLS
from bench.compare import read_rows
from bench.results import disk_errors
from bench.run_file import ResultsError, read_run
from bench.seen import worst
from bench.statistics import clustered_means, clusters
from bench.submission import Submission
from objascale.files import write_atomically
from objascale.sizes import COCO_LABELS, coco_bin

_INSTALL = "pip install 'objascale-suite[hf]'"
_TASK = ("image-segmentation", "Promptable segmentation")
_DIGITS = 4  # of a metric
_SETTINGS = ("weights_sha256", "settings_hash", "prompt_source", "noise", "tokens")  # one of each per model
_COLUMNS = ["model", *_SETTINGS, "image_id", "object_id", "asset_id", "area", "truth_rle", "prompt", "iou"]
_COLUMNS += ["untrained", "seen_in_training", "error"]


@dataclass(frozen=True)
class Measured:
    """A results folder that may be submitted.

    Attributes:
        folder: The folder.
        run: Content of run.json.
        rows: The rows of results.parquet, with a `cluster`.
    """

    folder: Path
    run: dict[str, Any]
    rows: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """Read a results folder. Raises ResultsError if it is damaged, or covers a part of its data set only."""
        run = read_run(folder)
        rows = read_rows(folder, _COLUMNS)
        measured = cls(folder, run, rows.assign(cluster=clusters(rows)))
        measured._check_complete()
        return measured

    def _check_complete(self) -> None:
        if self.run.get("selection"):
            raise ResultsError(
                f"{self.folder} has only a part of its objects (--select {', '.join(self.run['selection'])}); "
                "measure the whole data set"
            )
        known = self.run["dataset"]
        images, objects = self.rows["image_id"].nunique(), len(self.rows.drop_duplicates(["image_id", "object_id"]))
        if images < known.get("images", images) and objects != known.get("masks"):
            raise ResultsError(
                f"{self.folder} has rows of {images} of the {known['images']} images; finish the run without --limit "
                "and --shard, or merge all shards with `bench merge`"
            )

    def models(self) -> list[str]:
        """Return the names of the models with rows."""
        return list(self.rows["model"].unique())

    def benchmark(self) -> tuple[str, str | None]:
        """Return the name and the version of a frozen benchmark, or the name of another data set and None."""
        known = self.run["dataset"]
        if frozen := known.get("benchmark"):
            return str(frozen["name"]), f"v{frozen['version']}"
        return str(known["name"]), None

    def rows_of(self, model: str, errors_as_zero: bool) -> pd.DataFrame:
        """Return the rows of one model.

        Raises:
            ResultsError: It has no rows, or rows of several settings, of random weights, of a protocol or of a part of
                the objects; or rows with errors, unless `errors_as_zero`.
        """
        rows = self.rows[self.rows["model"] == model]
        where = f"{self.folder}: {model}"
        if rows.empty:
            raise ResultsError(f"{where} has no rows; there are {', '.join(self.models())}")
        if rows["untrained"].any():
            raise ResultsError(f"{where} has random weights; measure it with its weights")
        for column in _SETTINGS:
            if len(values := rows[column].unique()) > 1:
                listed = ", ".join(map(str, values[:3]))
                raise ResultsError(f"{where} has rows of several {column} ({listed}); measure one into a new folder")
        if (source := rows["prompt_source"].iloc[0]) in PROTOCOLS:
            raise ResultsError(f"{where} was measured with --prompt {source}; submit a run with one prompt per object")
        objects = self.rows.drop_duplicates(["image_id", "object_id"])
        if missing := len(objects) - len(rows.drop_duplicates(["image_id", "object_id"])):
            raise ResultsError(f"{where} lacks rows of {missing} objects; finish the run with the same `bench run`")
        failed = rows[rows["error"].notna()]
        if len(failed) and not errors_as_zero:
            raise ResultsError(
                f"{where} has {len(failed)} errors, such as {failed['error'].iloc[0]!r}; run `bench run` again, or "
                "count them as IoU 0 with --errors-as-zero"
            )
        if not (rows["area"] > 0).all():
            raise ResultsError(f"{where}: some true masks could not be read; repair the data set and measure again")
        return rows


def data_sha256(rows: pd.DataFrame) -> str:
    """Return the SHA-256 of what was asked: ids, true masks and strengths of the dials, one object a line, sorted.

    Renders of one plan on different machines have equal masks, and so equal hashes, though a pixel may differ by 1.
    """
    strengths = rows["difficulty"].fillna("")
    lines = (rows["image_id"] + "\t" + rows["object_id"] + "\t" + rows["truth_rle"] + "\t" + strengths).unique()
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def metrics(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the metrics of one model: `type`, `name`, `value` and `args`, see `Metric` and `Spread`."""
    sizes = coco_bin(rows["area"].to_numpy())
    parts = [("mean_iou", "IoU", rows, "iou")]
    parts += [
        (f"mean_iou_{label[0].lower()}", f"IoU, {label}", rows[sizes == index], "iou")
        for index, label in enumerate(COCO_LABELS)
    ]
    parts.append(("mean_boundary_iou", "Boundary IoU, 2 % of image", rows, "standard_boundary_iou"))
    found = []
    for kind, name, part, column in parts:
        if part.empty or part.loc[part["error"].isna(), column].isna().any():
            continue  # results from before the column existed
        values = part.assign(all="", value=part[column].fillna(0).astype(float))  # errors count as 0
        mean = clustered_means(values, ["all"], value="value").iloc[0]
        bounds = {end: None if pd.isna(mean[end]) else round(float(mean[end]), _DIGITS) for end in ("low", "high")}
        args = bounds | {"n": int(mean["n"]), "clusters": int(mean["clusters"])}
        found.append({"type": kind, "name": name, "value": round(float(mean["mean"]), _DIGITS), "args": args})
    return found


def submission(measured: Measured, model: str, errors_as_zero: bool = False) -> dict[str, Any]:
    """Return the content of a submission.

    Args:
        measured: The results.
        model: Name of the model.
        errors_as_zero: Whether objects with an error are accepted. They count with IoU 0.

    Raises:
        ResultsError: huggingface_hub is missing, or the rows of the model are refused, see `Measured.rows_of`.
    """
    rows = measured.rows_of(model, errors_as_zero)
    try:
        from huggingface_hub import EvalResult
        from huggingface_hub.repocard_data import eval_results_to_model_index
    except ImportError as error:
        raise ResultsError(f"bench submit needs huggingface_hub: {_INSTALL}") from error
    name, version = measured.benchmark()
    first, run = rows.iloc[0], measured.run
    extent = {"version": version, "images": rows["image_id"].nunique(), "objects": len(rows)}
    revision = data_sha256(rows)
    results = [
        EvalResult(
            *(_TASK[0], re.sub(r"[^A-Za-z0-9._-]+", "-", name), name, each["type"], each["value"]),
            task_name=_TASK[1],
            dataset_revision=revision,
            dataset_args=extent,
            metric_name=each["name"],
            metric_args=each["args"],
        )
        for each in metrics(rows)
    ]
    settings = next((card["settings"] for card in run["models"] if _is_card(card, first)), None)
    if settings is None:
        raise ResultsError(f"{measured.folder}/run.json does not describe {model}; measure it again")
    facts = {
        "suite": run["environment"].get("versions", {}).get("objascale-suite") or _version(),
        "created": run["created"],
        "weights_sha256": None if pd.isna(first["weights_sha256"]) else first["weights_sha256"],
        "settings": settings,
        "prompt": rows["prompt"].mode().iloc[0],
        "prompt_source": first["prompt_source"],
        "noise": float(first["noise"]),
        "exif": run.get("exif", "stored"),
        "ignore_band": run.get("ignore_band", False),
        "seen_in_training": worst(rows["seen_in_training"], [rows["model"]])[model],
        "errors": int(rows["error"].notna().sum()),
    }
    return {"model-index": eval_results_to_model_index(model, results), "objascale": facts}


def eval_results(content: dict[str, Any], dataset_id: str) -> str:
    """Return the mean IoU of a submission as YAML for the folder .eval_results of a model on the hub.

    Args:
        content: A submission.
        dataset_id: OWNER/NAME of the benchmark's data set on the hub.
    """
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    (result,) = content["model-index"][0]["results"]
    facts = content["objascale"]
    iou = result["metrics"][0]
    bounds = f", 95 % interval {iou['args']['low']} to {iou['args']['high']}" if "low" in iou["args"] else ""
    notes = f"{facts['prompt']} prompt, {iou['args']['n']} objects{bounds}, objascale-suite {facts['suite']}"
    entry = EvalResultEntry(dataset_id, iou["type"], iou["value"], date=facts["created"], notes=notes)
    return str(yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False))


def write_submissions(
    folder: Path, models: Sequence[str], out: Path, errors_as_zero: bool = False, dataset_id: str | None = None
) -> list[Path]:
    """Write a file per model of a results folder, named after data set and model.

    Nothing is written if one of the models is refused.

    Args:
        folder: The results folder.
        models: Names of the models; all if empty.
        out: Folder of the files. A file of the same data set and model is replaced.
        errors_as_zero: See `submission`.
        dataset_id: See `eval_results`, whose YAML is then written beside each file; None for no YAML.

    Returns:
        The paths of the files.

    Raises:
        ResultsError: The results are refused, see `submission`, or `out` cannot be written.
    """
    measured = Measured.read(folder)
    made = {model: submission(measured, model, errors_as_zero) for model in models or measured.models()}
    name, _ = measured.benchmark()
    paths = []
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        for model, content in made.items():
            path = out / f"{_file_name(name)}_{_file_name(model)}.json"
            write_atomically(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
            Submission.read(path)
            paths.append(path)
            if dataset_id is not None:
                paths.append(path.with_suffix(".yaml"))
                write_atomically(paths[-1], eval_results(content, dataset_id).encode())
    return paths


def _is_card(card: dict[str, Any], row: pd.Series) -> bool:
    tokens = None if pd.isna(row["tokens"]) else int(row["tokens"])
    return card["name"] == row["model"] and card["settings"].get("tokens") in (None, tokens)


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9@.-]+", "-", text).strip("-.") or "unnamed"


def _version() -> str:
    return importlib.metadata.version("objascale-suite")
