"""A data sheet: the questions of "Datasheets for Datasets", answered from the files of a dataset.

Source: Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12), 2021, arXiv 1803.09010. Every number
comes from dataset.json, annotations.parquet and journal.jsonl. What they do not say is marked as not recorded.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from objascale.dataset import HEADER, read_annotations, read_header, read_journal
from objascale.difficulty.record import DIALS
from objascale.export.output import new_file
from objascale.export.pictures import CREDIT_COLUMNS, ExportImage, all_credits, credit_rows, licence_of, pictures
from objascale.export.statements import responsible_ai
from objascale.sizes import SIZE_LABELS, size_bin

DATASHEET = "DATASHEET.md"
_QUANTILES = {"smallest": 0.0, "median": 0.5, "largest": 1.0}
_PER_ASSET = ("objects", "maps")  # of the fingerprint: a digest per asset, which the credits list


def write_datasheet(folder: Path, name: str, out: Path) -> None:
    """Write the data sheet of a dataset to a file. Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        name: Name of the dataset.
        out: The file.

    Raises:
        DatasetError: `folder` is no dataset, lacks an image or a credit, or the file cannot be written.
    """
    text = datasheet(folder, name, pictures(folder))
    with new_file(out) as partial:
        partial.write_text(text, encoding="utf-8")


def datasheet(folder: Path, name: str, found: list[ExportImage]) -> str:
    """Return the data sheet as Markdown. Text from catalogues and settings is escaped.

    Args:
        folder: The dataset.
        name: Name of the dataset.
        found: Its images.
    """
    header, table = read_header(folder), read_annotations(folder)
    said = responsible_ai(table)
    parts = [
        f"# Data sheet of {_plain(name)}",
        "The questions are those of Gebru et al., *Datasheets for Datasets* (2021). `objascale export datasheet` "
        f"computes the answers from {HEADER}, annotations.parquet and journal.jsonl.",
        "## Motivation",
        "The dataset measures how promptable segmenters depend on the size of objects and on the difficulty of "
        "pictures. Its masks are exact, which masks drawn by persons are not. Who funded it is not recorded.",
        "## Composition",
        *_composition(table),
        "## Collection",
        said["rai:dataCollection"],
        *_settings(header),
        *_failures(folder),
        "## Labelling",
        f"{said['rai:dataAnnotationProtocol']} Nothing was removed or cleaned afterwards.",
        "## Uses",
        _list(said["rai:dataUseCases"]),
        "Known limits and biases:",
        _list([*said["rai:dataLimitations"], *said["rai:dataBiases"]]),
        f"{said['rai:dataSocialImpact']} Personal or sensitive information: "
        f"{said['rai:personalSensitiveInformation'][0].lower()}.",
        "## Distribution",
        "The pictures show assets of other authors, under the licences of these assets:",
        *_licences(found),
        "## Maintenance",
        "The dataset does not change after it is rendered: `objascale verify` compares every picture with its SHA-256. "
        "The same settings and assets render it again. Who hosts and maintains this copy is not recorded.",
    ]
    return "\n\n".join(parts) + "\n"


def _composition(table: pd.DataFrame) -> list[str]:
    """Return the counts and ranges of the annotations."""
    images = table.drop_duplicates("image_id")
    hidden = int((table["visible"] < 1).sum()) if "visible" in table else None
    counts = [
        f"{len(images)} pictures of {len(table)} objects, which are all of the instances; no split is defined",
        f"{table['asset_id'].nunique()} different 3D objects of {table['category'].nunique()} categories",
        *([f"{images['hdri_id'].nunique()} environment maps"] if "hdri_id" in images else []),
        *([f"{hidden} objects of which the picture shows a part only"] if hidden is not None else []),
    ]
    sizes = np.bincount(size_bin(table["fraction"].to_numpy(float)), minlength=len(SIZE_LABELS))
    ranges = {
        "longer side of the picture, px": images[["width", "height"]].max(axis=1),
        "mask area, px": table["area"],
        "mask area / picture area": table["fraction"],
    }
    dials = {f"strength of {dial}": images[f"difficulty_{dial}"] for dial in DIALS if f"difficulty_{dial}" in images}
    return [
        _list(counts),
        _table(
            ("quantity", *_QUANTILES),
            [
                (name, *(_number(float(values.quantile(share))) for share in _QUANTILES.values()))
                for name, values in (ranges | dials).items()
            ],
        ),
        _table(("mask area / picture area", "objects"), zip(SIZE_LABELS, sizes.tolist(), strict=True)),
        _table(("category", "objects"), Counter(table["category"]).most_common()),
    ]


def _settings(header: dict[str, Any]) -> list[str]:
    """Return the settings of the plan and the renderer, and the versions of the software."""
    fingerprint = {key: value for key, value in header.get("fingerprint", {}).items() if key not in _PER_ASSET}
    return [
        _table(("setting", "value"), _flat(fingerprint)),
        _table(("software", "version"), _flat(header.get("versions", {}))),
    ]


def _failures(folder: Path) -> list[str]:
    """Return how many draws could not be rendered, by reason: the dataset has none of these scenes."""
    reasons = Counter(record["kind"] for record in read_journal(folder) if record["status"] == "failed")
    if not reasons:
        return ["Every scene that was drawn could be rendered."]
    listed = _table(("reason", "scenes"), sorted(reasons.items()))
    return [f"{reasons.total()} scenes that were drawn could not be rendered, and others replace them:", listed]


def _licences(found: list[ExportImage]) -> list[str]:
    licences = Counter(licence_of(credit) for credit in all_credits(found).values())
    return [_table(("licence", "assets"), sorted(licences.items())), _table(CREDIT_COLUMNS, credit_rows(found))]


def _flat(values: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return the values of nested dictionaries by their joined keys."""
    if not isinstance(values, dict):
        return [(name, values)]
    return [row for key, inner in values.items() for row in _flat(inner, f"{name}.{key}" if name else str(key))]


def _table(heads: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    heads = tuple(heads)
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(_plain(value) for value in line)} |" for line in lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _list(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _plain(value: Any) -> str:
    """Return a value as text in one line that Markdown shows as it is."""
    text = html.escape(" ".join(str(value).split()), quote=False)
    for character in "\\`*_[]|":
        text = text.replace(character, f"\\{character}")
    return text
