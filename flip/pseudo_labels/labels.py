"""The folder of pseudo-labels: a COCO data set that training and `bench run` read.

pseudo-labels.json       models, their weights' SHA-256, and settings
journal.jsonl            append-only, one line for each picture
instances_pseudo.json    the data set, written at the end
images/                  copies of the pictures
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flip.images import as_rgb
from flip.pseudo_labels.masks import LabelSettings, find_masks
from flip.pseudo_labels.teacher import Teacher
from flip.training_data import TrainingData
from objascale.files import write_atomically
from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records
from objascale.locks import hold
from objascale.pictures import PictureError, decode, orientation, turned
from objascale.validation import in_one_line, parse_json

RECORD_FILE, JOURNAL_FILE, DATASET_FILE = "pseudo-labels.json", "journal.jsonl", "instances_pseudo.json"
_PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")


class LabelError(ValueError):
    """Pictures or the output folder cannot be used. The message names the path."""


@dataclass(frozen=True)
class Labelling:
    """A run of `flip pseudo-label`, which `label` continues.

    Args:
        pictures: Folder of the pictures, read with all its subfolders.
        out: Output folder.
        teacher: Makes the masks.
        second: Confirms them.
        settings: Settings.
    """

    pictures: Path
    out: Path
    teacher: Teacher
    second: Teacher
    settings: LabelSettings

    def begin(self) -> list[str]:
        """Lock the output folder and return the pictures without a line in the journal. Raises LabelError."""
        files = list_pictures(self.pictures)
        self.out.mkdir(parents=True, exist_ok=True)
        try:
            weakref.finalize(self, hold(self.out).close)  # the folder is locked as long as this object lives
        except BlockingIOError as error:
            raise LabelError(f"another flip pseudo-label is writing to {self.out}; wait for it to end") from error
        record = {
            "teacher": self.teacher.record,
            "second": self.second.record,
            "settings": self.settings.model_dump(),
        }
        path = self.out / RECORD_FILE
        try:
            if path.exists() and parse_json(path.read_bytes()) != parse_json(json.dumps(record).encode()):
                raise LabelError(f"{self.out} has masks of other models or settings; give another output folder")
        except ValueError as error:
            if isinstance(error, LabelError):
                raise
            raise LabelError(f"{path} is damaged ({in_one_line(error)}); give another output folder") from None
        write_atomically(path, json.dumps(record, indent=1).encode() + b"\n")
        drop_incomplete_line(self.out / JOURNAL_FILE)
        done = {line["file"] for line in read_lines(self.out)}
        return [file for file in files if file not in done]

    def label(self, files: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Label pictures and yield each one's line of the journal. A picture that fails has a line with the reason."""
        with (self.out / JOURNAL_FILE).open("ab", buffering=0) as journal:
            for file in files:
                line = self._line(file)
                append_record(journal, line, sync=False)
                yield line

    def _line(self, file: str) -> dict[str, Any]:
        try:
            content = (self.pictures / file).read_bytes()
            if orientation(content) != 1:
                content = _upright(content)
            image = as_rgb(decode(content))
        except (OSError, PictureError, ValueError) as error:
            return {"file": file, "failed": in_one_line(error)}
        found, dropped = find_masks(image, self.teacher, self.second, self.settings)
        write_atomically(self.out / "images" / file, content)
        masks = [
            {"rle": each.mask.rle(), "stability": round(each.stability, 4), "agreement": round(each.agreement, 4)}
            for each in found
        ]
        size = {"width": image.shape[1], "height": image.shape[0], "sha256": hashlib.sha256(content).hexdigest()}
        return {"file": file, **size, "masks": masks, "dropped": {k: n for k, n in dropped.items() if n}}

    def finish(self) -> tuple[int, int, Counter[str]]:
        """Write the data set; return the numbers of pictures and masks, and of failed pictures by reason."""
        lines = sorted(read_lines(self.out), key=lambda line: line["file"])
        failed = Counter(line["failed"] for line in lines if "failed" in line)
        shown = [line for line in lines if line.get("masks")]
        write_atomically(self.out / DATASET_FILE, json.dumps(_coco(shown)).encode())
        return len(shown), sum(len(line["masks"]) for line in shown), failed


def list_pictures(folder: Path) -> list[str]:
    """Return the JPEG and PNG files of a folder and its subfolders, relative to it. Raises LabelError."""
    if not folder.is_dir():
        raise LabelError(f"there is no folder {folder}; give a folder of JPEG or PNG files")
    files = [
        path.relative_to(folder).as_posix()
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in _PICTURE_ENDINGS and path.is_file() and not path.name.startswith(".")
    ]
    if not files:
        raise LabelError(f"{folder} has no JPEG or PNG files; give another folder")
    return files


def read_lines(out: Path) -> list[dict[str, Any]]:
    """Read the journal. Raises LabelError if a line is damaged."""

    def parse(line: Any) -> dict[str, Any]:
        if "failed" not in line:
            line["width"], line["height"], [mask["rle"]["counts"] for mask in line["masks"]]
        return {"file": line["file"], **line}

    try:
        return read_records(out / JOURNAL_FILE, parse)
    except JournalError as error:
        raise LabelError(str(error)) from None


def training_data_of(folder: Path) -> TrainingData | None:
    """Return what the teacher of a folder of pseudo-labels learned from, None for any other path. Raises LabelError."""
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    try:
        teacher = parse_json(path.read_bytes())["teacher"]
        return TrainingData(f"masks of {folder.name} by {teacher['name']}", tuple(map(str, teacher["datasets"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path} is damaged ({in_one_line(error)}); restore it, or label the pictures again") from None


def _upright(content: bytes) -> bytes:
    """Return a turned picture as PNG without an EXIF orientation, so that every reader shows it like its masks."""
    import cv2

    pixels = turned(decode(content), orientation(content))
    return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()


def _coco(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    from pycocotools import mask as mask_api

    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        images.append({"id": number, "file_name": line["file"], "width": line["width"], "height": line["height"]})
        for mask in line["masks"]:
            scores = {key: mask[key] for key in ("stability", "agreement")}
            ids = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            rle = mask["rle"]
            extent = {"bbox": mask_api.toBbox(rle).tolist(), "area": int(mask_api.area(rle))}
            annotations.append({**ids, **extent, "segmentation": rle, **scores})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
