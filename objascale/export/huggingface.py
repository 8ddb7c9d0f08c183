"""Export to a folder for Hugging Face's `datasets`: Parquet files with the images, a card, and the credits.

    README.md                        card: licence and fields
    DATASHEET.md                     see `objascale.export.datasheet`
    credits.csv                      one row per object and environment map
    data/test-00000-of-00002.parquet

An image is Hugging Face's `Image`, a struct of `bytes` (the rendered file) and `path` (its name). The features are JSON
in the Parquet schema, as `datasets` writes them.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from objascale.difficulty.record import DIALS
from objascale.export.coco import xywh
from objascale.export.credits import write_credits
from objascale.export.datasheet import DATASHEET, datasheet
from objascale.export.output import new_folder
from objascale.export.pictures import (
    CREDIT_COLUMNS,
    ExportImage,
    all_credits,
    licence_of,
    numbered,
    pictures,
    split,
)

_ROW_GROUP_BYTES = 64_000_000  # of images, which a reader holds in memory; a choice
_OVERHEAD_BYTES = 16_384  # more than Parquet adds to an image
_CREDIT = CREDIT_COLUMNS[1:-1]
_HUB_LICENCES = (
    "cc0-1.0",
    *(f"cc-{kind}-{v}" for kind in ("by", "by-sa", "by-nc", "by-nc-sa") for v in ("3.0", "4.0")),
)
"""The Hub's names of the assets' usual licences. The card calls any other licence `other`."""


def write_huggingface(folder: Path, out: Path, max_bytes: int) -> list[Path]:
    """Write the folder and return the paths of its Parquet files.

    Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        out: Folder to write, new or empty.
        max_bytes: Largest Parquet file, bytes. An image that is larger gets a file of its own.

    Raises:
        DatasetError: If `out` holds files, or an image does not match its SHA-256.
    """
    found = pictures(folder)
    categories = list(numbered(row["category"] for picture in found for row in picture.objects))
    features = _features(categories, difficult=bool(_difficulty(found[0])))
    metadata = json.dumps({"info": {"features": features}})
    schema = pa.schema([(name, _arrow(feature)) for name, feature in features.items()], {"huggingface": metadata})
    shards = split(found, _size, max_bytes - 4 * len(metadata))
    names = [f"data/test-{number:05d}-of-{len(shards):05d}.parquet" for number in range(len(shards))]
    with new_folder(out) as partial:
        (partial / "data").mkdir()
        for name, shard in zip(names, shards, strict=True):
            _write_parquet(partial / name, shard, schema, categories)
        write_credits(partial / "credits.csv", found)
        (partial / "README.md").write_text(_card(found), encoding="utf-8")
        (partial / DATASHEET).write_text(datasheet(folder, "ObjaScale", found), encoding="utf-8")
    return [out / name for name in names]


def _write_parquet(path: Path, shard: list[ExportImage], schema: pa.Schema, categories: list[str]) -> None:
    # Images are compressed already. Statistics and dictionaries would store them twice.
    options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    with path.open("wb") as file, pq.ParquetWriter(file, schema, **options) as writer:
        for batch in split(shard, _size, _ROW_GROUP_BYTES):
            writer.write_table(pa.Table.from_pylist([_row(picture, categories) for picture in batch], schema))


def _features(categories: list[str], *, difficult: bool) -> dict[str, Any]:
    """Return the columns as JSON that old and new versions of `datasets` read.

    Args:
        categories: Names of the categories.
        difficult: Whether the pictures have strengths of dials.
    """
    whole, real, text = ({"dtype": dtype, "_type": "Value"} for dtype in ("int64", "float64", "string"))
    several = {"feature": whole, "_type": "Sequence"}
    return {
        "image": {"_type": "Image"},
        "image_id": whole,
        "width": whole,
        "height": whole,
        "spec_id": text,
        "seed": whole,
        "image_sha256": text,
        "environment_map": dict.fromkeys(_CREDIT, text),
        **({"difficulty": dict.fromkeys(DIALS, real)} if difficult else {}),
        "objects": [
            {
                "object_id": whole,
                "category": {"names": categories, "_type": "ClassLabel"},
                "bbox": several,
                "area": whole,
                "fraction": real,
                "visible": real,
                "rle": {"size": several, "counts": text},
                "asset_id": text,
                **dict.fromkeys(_CREDIT[1:], text),
            }
        ],
    }


def _arrow(feature: Any) -> pa.DataType:
    """Return the Arrow type of a feature."""
    if isinstance(feature, list):
        return pa.list_(_arrow(feature[0]))
    match feature.get("_type"):
        case "Image":
            return pa.struct({"bytes": pa.binary(), "path": pa.string()})
        case "ClassLabel":
            return pa.int64()
        case "Sequence":
            return pa.list_(_arrow(feature["feature"]))
        case "Value":
            return pa.type_for_alias(feature["dtype"])
    return pa.struct({name: _arrow(inner) for name, inner in feature.items()})


def _row(picture: ExportImage, categories: list[str]) -> dict[str, Any]:
    return {
        "image": {"bytes": picture.read(), "path": picture.name},
        **picture.about,
        "difficulty": _difficulty(picture),
        "objects": [
            {
                **row,
                "category": categories.index(row["category"]),
                "bbox": xywh(row["box"]),
                "rle": {"size": row["rle_size"], "counts": row["rle_counts"]},
            }
            for row in picture.objects
        ],
    }


def _difficulty(picture: ExportImage) -> dict[str, float]:
    """Return the strength of each dial; empty for a picture without difficulty."""
    first = picture.objects[0]
    return {dial: first[f"difficulty_{dial}"] for dial in DIALS if f"difficulty_{dial}" in first}


def _size(picture: ExportImage) -> int:
    return picture.path.stat().st_size + len(json.dumps([picture.environment_map, *picture.objects])) + _OVERHEAD_BYTES


def _card(found: list[ExportImage]) -> str:
    """Return README.md. Text from the assets' catalogues is quoted."""
    credits = all_credits(found)
    licences = Counter(licence_of(credit) for credit in credits.values())
    objects = sum(len(picture.objects) for picture in found)
    only = next(iter(licences)).lower()
    if len(licences) == 1 and only in _HUB_LICENCES:
        licence = f"license: {only}"
    else:
        name = json.dumps(" AND ".join(sorted(licences)), ensure_ascii=False)
        licence = f"license: other\nlicense_name: {name}\nlicense_link: credits.csv"
    listed = "\n".join(
        f"- `{name.replace('`', ' ')}`: {count} of {len(credits)} assets" for name, count in sorted(licences.items())
    )
    return _CARD.format(licence=licence, images=len(found), objects=objects, listed=listed)


_CARD = """\
---
pretty_name: ObjaScale
{licence}
task_categories:
- image-segmentation
configs:
- config_name: default
  data_files:
  - split: test
    path: data/test-*.parquet
---

# ObjaScale

{images} pictures of {objects} objects in front of environment maps, with exact masks. The set evaluates promptable
segmenters as the object shrinks. `DATASHEET.md` has its composition, settings, intended uses and known limits.

```python
from datasets import load_dataset

pictures = load_dataset("path/of/this/folder", split="test")
```

`image` is the rendered file, `image_sha256` its SHA-256. Each of the `objects` has a mask `rle` (COCO's compressed RLE,
for `pycocotools.mask.decode`), `bbox` (x, y, width, height in px), `area` (px), `fraction` (of the picture's area),
`visible` (share of the whole silhouette that the picture shows), `category`, and the credits of its asset.

## Licences

Pictures show assets of other authors, under the assets' licences. `credits.csv` lists all assets.

{listed}
"""
