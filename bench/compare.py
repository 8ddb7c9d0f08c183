"""Paired differences of IoU between two models on the same objects.

A pair is one object of one image (by SHA-256) that both models were asked for. The interval of a mean difference comes
from the cluster jackknife over assets (`objascale.intervals`). A tie is exactly the same IoU. An error counts as IoU 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from rich.table import Table

from bench.choices import GroupBy
from bench.frozen import conflict, with_common_pictures
from bench.results import arrow_schema, check_types
from bench.run_file import RESULTS_SCHEMA, ResultsError, read_run
from bench.seen import describe_seen, unfair
from bench.statistics import clustered_means, clusters
from bench.summary import BIN_LABELS
from objascale.dataset import read_parquet
from objascale.files import write_atomically
from objascale.intervals import DIFFERENCE, INTERVAL_NOTE
from objascale.sizes import size_bin
from objascale.validation import in_one_line

_OBJECT = ["image_sha256", "object_id"]
_SAME = ["image_id", "asset_id", "category", "area", "fraction"]  # equal in both rows of an object
OPTIONAL_COLUMNS = ("exif", "difficulty", "standard_boundary_iou")  # earlier results lack them
_OWN = ["model", "tokens", "prompt", "prompt_source", "noise", "untrained", "iou", "error", "seen_in_training"]


def rows_of(folder: Path, model: str, noise: float = 0.0, tokens: float | None = None) -> pd.DataFrame:
    """Return a model's rows of a results folder, one per object. Objects without a pixel are left out.

    Args:
        folder: The results folder.
        model: The name of the model.
        noise: The noise level of the prompts.
        tokens: The number of patches; ignored for models without patches.

    Raises:
        ResultsError: The folder has no such rows, or several kinds of them; the message lists the choices.
    """
    rows = read_rows(folder, [*_OBJECT, *_SAME, *_OWN])
    names = list(dict.fromkeys(rows["model"]))
    if model not in names:
        near = get_close_matches(model, names)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        raise ResultsError(f"{folder} has no rows of the model {model}; {hint}")
    rows = rows[rows["model"] == model]
    counts = sorted(rows["tokens"].dropna().unique())
    if tokens is None and len(counts) > 1:
        raise ResultsError(
            f"{model} has several numbers of patches in {folder}; choose with --tokens: {_listed(counts)}"
        )
    for column, value in (("noise", noise), ("tokens", tokens)):
        there = sorted(rows[column].dropna().unique())
        if value is not None and there:
            rows = rows[rows[column] == value]
            if rows.empty:
                raise ResultsError(
                    f"{folder} has no rows of {model} with {column} {value:g}; choose with --{column}: {_listed(there)}"
                )
    rows = rows[rows["area"] > 0]
    if rows.empty:
        raise ResultsError(f"{folder} has only errors of {model}: no object's mask could be read")
    return rows


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def read_rows(folder: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of results.parquet, and of OPTIONAL_COLUMNS those that it has.

    Raises:
        ResultsError: The folder has another schema or no row, or a column is missing or damaged.
    """
    run, path = read_run(folder), folder / "results.parquet"
    if run["schema"] != RESULTS_SCHEMA:
        raise ResultsError(
            f"{folder} has the schema version {run['schema']}, this program reads {RESULTS_SCHEMA}; measure again"
        )
    if not path.exists():
        raise ResultsError(f"{folder} has no results.parquet; finish the run with the same `bench run` command")
    try:
        there = pq.read_schema(path).names
        rows = _checked(read_parquet(path, [*columns, *(name for name in OPTIONAL_COLUMNS if name in there)]))
    except (OSError, ValueError) as error:  # pyarrow's errors are such
        raise ResultsError(
            f"{path} is damaged ({in_one_line(error)}); the same `bench run` command writes it again"
        ) from error
    if rows.empty:
        raise ResultsError(f"{folder} has no row; finish the run with the same `bench run` command")
    rows = with_common_pictures(rows, run)
    return rows.assign(**{name: None for name in OPTIONAL_COLUMNS if name not in rows})


def _checked(rows: pd.DataFrame) -> pd.DataFrame:
    """Raise ValueError if a column has values of another type, or lacks a value."""
    check_types(rows)
    for field in arrow_schema():
        if field.name in rows and not field.nullable and rows[field.name].isna().any():
            raise ValueError(f"its column {field.name} has missing values")
    return rows


def check_benchmarks(one: Path, other: Path) -> None:
    """Raise ResultsError if two results folders are of different versions of a frozen benchmark."""
    if why := conflict([(str(folder), read_run(folder)) for folder in (one, other)]):
        raise ResultsError(f"{why}; measure both on the same version")


def check_exif(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Raise ResultsError if the rows of two sides are of images that only one of them rotated by EXIF."""
    pairs = a.merge(b, on=_OBJECT, suffixes=("_a", "_b"))
    both = pairs[["exif_a", "exif_b"]].dropna()
    differing = int((both["exif_a"] != both["exif_b"]).sum())
    if differing:
        raise ResultsError(
            f"{differing} objects lie on images that one side rotated by EXIF and the other did not; measure both "
            "with the same `bench run --exif`"
        )


@dataclass(frozen=True)
class PairedComparison:
    """The common objects of two sides.

    Attributes:
        pairs: One row per object of an image, with model_a, model_b, iou_a, iou_b, difference (A − B), error_a,
            error_b, seen (whether a model has seen the object, or the data set, in training), cluster, and the columns
            of the object itself.
        names: The sides in words.
        alone: The numbers of objects that only A, and only B, has; they are left out.
    """

    pairs: pd.DataFrame
    names: tuple[str, str]
    alone: tuple[int, int]

    @classmethod
    def of(cls, a: pd.DataFrame, b: pd.DataFrame) -> PairedComparison:
        """Pair the rows of two sides. Raises ResultsError if they have no common object."""
        own = [*_OBJECT, *_OWN]
        pairs = a[[*own, *_SAME]].merge(b[own], on=_OBJECT, suffixes=("_a", "_b"), sort=True)
        names = _name(a), _name(b)
        if pairs.empty:
            raise ResultsError(f"{names[0]} and {names[1]} have no common object; measure both on the same data set")
        pairs["difference"] = pairs["iou_a"] - pairs["iou_b"]
        pairs["seen"] = unfair(pairs, "seen_in_training_a") | unfair(pairs, "seen_in_training_b")
        pairs["cluster"] = clusters(pairs)
        return cls(pairs, names, (len(a) - len(pairs), len(b) - len(pairs)))

    @property
    def seen_description(self) -> str:
        """How many of the objects each side has seen in training, or their data set; empty if none."""
        sides = [self.pairs[[*_OBJECT, f"model_{side}", f"seen_in_training_{side}"]] for side in "ab"]
        rows = pd.concat([side.set_axis([*_OBJECT, "model", "seen_in_training"], axis=1) for side in sides])
        return describe_seen(rows[unfair(rows)])

    def table(self, by: GroupBy = "size") -> pd.DataFrame:
        """Return one row per occupied size bin, or per category, and one for all objects.

        Columns: group, n, clusters, mean_a, mean_b, difference, low, high (95 % interval of the mean difference, NaN
        without one), win, tie, loss (shares of the objects, for A), errors_a, errors_b.
        """
        sizes = [BIN_LABELS[index] for index in size_bin(self.pairs["fraction"].to_numpy(float))]
        group = self.pairs["category"] if by == "category" else sizes
        order = sorted(set(group)) if by == "category" else BIN_LABELS
        rows = self.pairs.assign(group=pd.Categorical(group, order))
        return pd.concat([_table(rows.sort_values("group")), _table(rows.assign(group="all"))], axis=0)


def _name(rows: pd.DataFrame) -> str:
    """Describe one side: model, patches, prompts, noise."""
    first = rows.iloc[0]
    prompt = rows["prompt"].dropna()
    words = [
        f"{prompt.iloc[0] if len(prompt) else 'no'} prompts ({first['prompt_source']})",
        f"noise {first['noise']:g}",
    ]
    if pd.notna(first["tokens"]):
        words.insert(0, f"{first['tokens']:.0f} patches")
    if rows["untrained"].any():
        words.insert(0, "untrained")
    return f"{first['model']} ({', '.join(words)})"


def summarise_pairs(pairs: pd.DataFrame, by: str, bound: float | None = None) -> pd.DataFrame:
    """Summarise `PairedComparison.pairs` per value of the column `by` (the index, in order of appearance).

    Columns: difference, low, high (95 % interval), n, clusters, mean_a, mean_b; win, tie, loss (shares of the objects);
    errors_a, errors_b; with a `bound`, p of a mean difference of `bound`.
    """
    means = clustered_means(pairs, [by], value="difference", support=DIFFERENCE, bound=bound)
    marked = pairs.assign(
        win=pairs["difference"] > 0,
        tie=pairs["difference"] == 0,
        loss=pairs["difference"] < 0,
        errors_a=pairs["error_a"].notna(),
        errors_b=pairs["error_b"].notna(),
    )
    groups = marked.groupby(by, sort=False, observed=True)
    shares = groups[["iou_a", "iou_b", "win", "tie", "loss"]].mean()
    counts = groups[["errors_a", "errors_b"]].sum()
    table = means.drop(columns="std").join(shares).join(counts)
    return table.rename(columns={"mean": "difference", "iou_a": "mean_a", "iou_b": "mean_b"})


def _table(rows: pd.DataFrame) -> pd.DataFrame:
    return summarise_pairs(rows, "group").reset_index().astype({"group": str})


def write_pairs(comparison: PairedComparison, path: Path) -> None:
    """Write the pairs as CSV. Raises ResultsError if the file cannot be written."""
    columns = ("model", "tokens", "noise", "iou", "error", "seen_in_training")
    sides = [f"{column}_{side}" for side in "ab" for column in columns]
    try:
        write_atomically(path, comparison.pairs[[*_OBJECT, *_SAME, *sides, "difference"]].to_csv(index=False).encode())
    except OSError as error:
        raise ResultsError(f"cannot write {path} ({error.strerror}); choose another --out") from error


def rich_table(table: pd.DataFrame, by: GroupBy) -> Table:
    """Return `PairedComparison.table` for a terminal."""
    shown = Table(title="Paired differences of IoU, A − B", caption=INTERVAL_NOTE)
    heads = ["mask / image" if by == "size" else by, "n", "assets", "A", "B", "A − B", "95 % interval"]
    for head in [*heads, "A better", "equal", "B better", "errors"]:
        shown.add_column(head, justify="left" if head == heads[0] else "right", no_wrap=True)
    for row in table.to_dict("records"):
        if row["group"] == "all":
            shown.add_section()
        interval = "–" if pd.isna(row["low"]) else f"{row['low']:+.3f} … {row['high']:+.3f}"
        shown.add_row(
            row["group"],
            str(row["n"]),
            str(row["clusters"]),
            f"{row['mean_a']:.3f}",
            f"{row['mean_b']:.3f}",
            f"{row['difference']:+.3f}",
            interval,
            *(f"{100 * row[share]:.1f} %" for share in ("win", "tie", "loss")),
            f"{row['errors_a']} / {row['errors_b']}" if row["errors_a"] or row["errors_b"] else "–",
        )
    return shown
