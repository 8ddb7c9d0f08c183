"""Croissant metadata: a JSON file that describes a dataset to search engines and to loaders.

Sources: "Croissant Format Specification", version 1.0, and "Croissant RAI Specification", version 1.0, of MLCommons.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from objascale.dataset import HEADER, read_annotations
from objascale.export.output import new_file
from objascale.export.pictures import ExportImage, all_credits, licence_of, pictures
from objascale.export.statements import responsible_ai
from objascale.files import file_sha256

_TABLE = "annotations.parquet"
_PICTURES = "images"
_DESCRIPTIONS = {
    "object_id": "Id of the object in this dataset",
    "image_id": "Id of the picture",
    "file": "Path of the picture",
    "category": "Category of the object",
    "box": "Edges x0, y0, x1, y1 of the mask, px",
    "area": "Pixels of the mask",
    "fraction": "Pixels of the mask per pixel of the picture",
    "visible": "Share of the whole silhouette that the picture shows",
    "rle_counts": "The mask as COCO's compressed run-length encoding",
    "rle_size": "Height and width of the mask, px",
    "amodal_counts": "The mask of the whole object inside the picture, as rle_counts",
    "camera_k": "Camera matrix K by rows, px, with pixel centres at halves",
    "camera_rotation": "Rotation from world to camera coordinates by rows; x right, y down, z forward",
    "camera_translation": "Translation from world to camera coordinates",
    "object_rotation": "Rotation from the object's to camera coordinates by rows",
    "object_translation": "Translation from the object's to camera coordinates",
    "object_scale": "Scale from the object's to camera coordinates, applied with the rotation",
    "object_bounds": "Smallest and largest x, y, z of the object in its own coordinates",
    "depth_file": "Path of the picture's depth map",
}
_TERMS = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet"),
    *("format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet"),
    *("references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform"),
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
"""The context that the specification recommends, in its section "Syntax Conventions"."""


def write_croissant(folder: Path, name: str) -> Path:
    """Write `croissant.json` into a dataset and return its path.

    The file describes the table of objects with all of its columns, the images, and the depth maps if there are any.
    Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        name: Name of the dataset.

    Raises:
        DatasetError: If `folder` is no dataset, lacks an image or a credit, or cannot be written.
    """
    found = pictures(folder)
    out = folder / "croissant.json"
    with new_file(out) as partial:
        text = json.dumps(_metadata(folder, name, found), indent=1, ensure_ascii=False)
        partial.write_text(text + "\n", encoding="utf-8")
    return out


def _metadata(folder: Path, name: str, found: list[ExportImage]) -> dict[str, Any]:
    credits = all_credits(found)
    objects = sum(len(picture.objects) for picture in found)
    suffixes = sorted({picture.path.suffix for picture in found})
    formats = ["image/jpeg" if suffix == ".jpg" else "image/png" for suffix in suffixes]
    columns = pq.read_schema(folder / _TABLE)
    files = [_file_set(_PICTURES, "The pictures", formats, [f"images/*/*{suffix}" for suffix in suffixes])]
    if "depth_file" in columns.names:  # listed only: no record set, because readers of Croissant do not decode OpenEXR
        files.append(_file_set("depth", "Depth maps, by the column depth_file", ["image/x-exr"], ["depth/*/*.exr"]))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": name,
        "description": f"{len(found)} rendered pictures of {objects} objects with exact masks",
        "license": sorted({licence_of(credit) for credit in credits.values()}),
        "creator": [{"@type": "Person", "name": author} for author in _authors(credits.values())],
        **responsible_ai(read_annotations(folder)),
        "distribution": [
            _file(folder, _TABLE, "application/x-parquet", "One row per object"),
            _file(folder, HEADER, "application/json", "Settings, versions, and the credits of all assets"),
            *files,
        ],
        "recordSet": [_objects(columns), _images()],
    }


def _file(folder: Path, name: str, encoding: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": description,
        "contentUrl": name,
        "encodingFormat": encoding,
        "sha256": file_sha256(folder / name),
    }


def _file_set(name: str, description: str, formats: list[str], patterns: list[str]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": formats,
        "includes": patterns,
    }


def _objects(schema: pa.Schema) -> dict[str, Any]:
    """Describe the columns of annotations.parquet."""
    fields = []
    for column in schema:
        field: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"objects/{column.name}",
            "name": column.name,
            "dataType": _data_type(column.type),
            "source": {"fileObject": {"@id": _TABLE}, "extract": {"column": column.name}},
        }
        if column.name in _DESCRIPTIONS:
            field["description"] = _DESCRIPTIONS[column.name]
        if pa.types.is_list(column.type):
            field["repeated"] = True
        if column.name == "file":
            field["references"] = {"field": {"@id": "pictures/file"}}
        fields.append(field)
    key = {"@id": "objects/object_id"}
    return {"@type": "cr:RecordSet", "@id": "objects", "name": "objects", "key": key, "field": fields}


def _images() -> dict[str, Any]:
    """Describe the picture files. Their paths are those in the column `file` of the objects."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"pictures/{name}",
            "name": name,
            "description": description,
            "dataType": data_type,
            "source": {"fileSet": {"@id": _PICTURES}, "extract": {"fileProperty": extracted}},
        }
        for name, description, data_type, extracted in (
            ("file", "Path of the picture", "sc:Text", "fullpath"),
            ("content", "The picture", "sc:ImageObject", "content"),
        )
    ]
    key = {"@id": "pictures/file"}
    return {"@type": "cr:RecordSet", "@id": "pictures", "name": "pictures", "key": key, "field": fields}


def _data_type(arrow: pa.DataType) -> str:
    """Return the type of Croissant for a type of Arrow, or for the elements of a list."""
    if pa.types.is_list(arrow):
        return _data_type(arrow.value_type)
    if pa.types.is_boolean(arrow):
        return "sc:Boolean"
    if pa.types.is_integer(arrow):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(arrow) else "sc:Text"


def _authors(credits: Iterable[dict[str, str]]) -> list[str]:
    return sorted({credit["author"] for credit in credits if credit["author"]})
