"""The doors of the suite: every kind of file that it reads, as a sound sample, and the function that opens it.

    python -m tests.doors NAME FOLDER FIRST LAST

writes the sample of a door, replaces it by the mutants FIRST to LAST - 1, one after the other, and opens each. It
prints READY, and then a line of JSON for each mutant: `number`, `outcome` (read, refused or broken), `messages` and
`peak_mib`.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests import mutants

MEMORY_LIMIT = 4 << 30
_RAW = re.compile(r"Traceback|\w+(Error|Exception)\(|<class |\bobject at 0x|\n")
READY = "ready"
"""The first line of a child, printed when it has opened the sound sample."""

DATASET = "objascale.dataset.DatasetError"
MAP = "objascale.maps.opened.EnvironmentMapError"


def is_sentence(message: str) -> bool:
    """Whether a message is one line without parts of a traceback."""
    return 0 < len(message) < 1000 and not _RAW.search(message)


@dataclass(frozen=True)
class Door:
    """A kind of file.

    Attributes:
        write: Writes a sound sample into a folder and returns the file to damage.
        open: Opens that file as the commands do, and returns the problems of single records.
        refusals: Names of the exceptions by which `open` refuses a file.
        mutations: Mutations of the file's bytes.
    """

    write: Callable[[Path], Path]
    open: Callable[[Path], list[str]]
    refusals: tuple[str, ...]
    mutations: list[mutants.Mutation]


def _scene() -> tuple[np.ndarray, np.ndarray]:
    """A picture, (24, 32, 3), and the mask of its object."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    mask = np.zeros((24, 32), np.uint8)
    mask[5:15, 8:20] = 255
    picture[mask > 0] = (220, 30, 30)
    return picture, mask


def _saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def _open_dataset(path: Path) -> list[str]:
    """Open every image and mask. An error of an image or a mask is a problem of one record."""
    from objascale.dataset import DatasetError
    from objascale.datasets import ImageError
    from objascale.datasets.formats import open_dataset
    from objascale.masks import MaskError

    problems = []
    for sample in open_dataset(path).samples:
        try:
            sample.picture().decode()
        except ImageError as error:
            problems.append(str(error))
        try:
            truths = sample.objects()
        except DatasetError as error:
            problems.append(str(error))
            continue
        for truth in truths:
            try:
                truth.mask()
                truth.ignored_mask()
            except MaskError as error:
                problems.append(str(error))
    return problems


def _dataset_of(folders_up: int) -> Callable[[Path], list[str]]:
    return lambda path: _open_dataset(path.parents[folders_up])


def _open_picture(path: Path) -> list[str]:
    from flip.picture_files import read_picture
    from objascale.datasets import EncodedImage, ImageError

    problems = []
    try:
        EncodedImage(str(path), path.read_bytes(), "", None).decode("displayed")
    except ImageError as error:
        problems.append(str(error))
    read_picture(path)
    return problems


def _picture(suffix: str, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: _saved(folder / f"a{suffix}", _scene()[0], **options)


def _exif() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _write_deep_picture(folder: Path) -> Path:
    import cv2

    path = folder / "a.tif"
    cv2.imwrite(str(path), _scene()[0].astype(np.uint16) << 8)
    return path


def _open_mask(path: Path) -> list[str]:
    from flip.picture_files import read_mask

    read_mask(path, path, 32, 24)
    return []


def _write_mask_folder(folder: Path) -> Path:
    picture, mask = _scene()
    _saved(folder / "images/a.png", picture)
    return _saved(folder / "masks/a.png", mask)


def _write_indexed(folder: Path) -> Path:
    from PIL import Image

    picture, mask = _scene()
    _saved(folder / "images/a.png", picture)
    (folder / "masks").mkdir(exist_ok=True)
    image = Image.fromarray(mask // 255, "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.save(folder / "masks/a.png")
    return folder / "masks/a.png"


def _write_yolo(folder: Path) -> Path:
    _saved(folder / "images/a.png", _scene()[0])
    (folder / "labels").mkdir(exist_ok=True)
    path = folder / "labels/a.txt"
    path.write_text("0 0.1 0.1 0.5 0.1 0.5 0.6\n1 0.2 0.2 0.8 0.2 0.8 0.9 0.3 0.8\n")
    return path


def _write_classes(folder: Path) -> Path:
    _write_yolo(folder)
    path = folder / "data.yaml"
    path.write_text("path: .\nnames:\n  0: cup\n  1: mug\n")
    return path


def _write_kitti(folder: Path) -> Path:
    picture, mask = _scene()
    frame = "2013_05_28_drive_0000_sync/image_00"
    _saved(folder / f"data_2d_raw/{frame}/data_rect/0000000001.png", picture)
    labels = np.where(mask > 0, 26_001, 11_000).astype(np.uint16)
    return _saved(folder / f"data_2d_semantics/train/{frame}/instance/0000000001.png", labels)


def _coco() -> dict[str, Any]:
    rle = {"size": [24, 32], "counts": [100, 20, 648]}
    polygons = [[1, 1, 4, 1, 4, 3, 1, 3], [10, 10, 20, 10, 20, 20]]
    return {
        "images": [{"id": 1, "file_name": "a.png", "width": 32, "height": 24}],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 6, "segmentation": polygons},
            {"id": 8, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 20, "segmentation": rle},
        ],
    }


def _write_coco(folder: Path) -> Path:
    _saved(folder / "a.png", _scene()[0])
    path = folder / "ann.json"
    path.write_text(json.dumps(_coco()))
    return path


def _write_sa1b(folder: Path) -> Path:
    _saved(folder / "sa_1.jpg", _scene()[0])
    rles = [{"id": 3, "segmentation": {"size": [24, 32], "counts": "Ph0"}, "bbox": [0, 0, 1, 1], "area": 20}]
    path = folder / "sa_1.json"
    path.write_text(json.dumps({"image": {"image_id": 1, "width": 32, "height": 24}, "annotations": rles}))
    return path


def _write_openimages(folder: Path) -> Path:
    picture, mask = _scene()
    _saved(folder / "validation_0/0a.jpg", picture)
    names = [f"0a_m0_{number}.png" for number in range(3)]
    for name in names:
        _saved(folder / f"validation-masks-0/{name}", mask)
    (folder / "class-descriptions.csv").write_text("/m/0,Cup\n/m/1,Mug\n")
    path = folder / "validation-annotations-object-segmentation.csv"
    rows = "".join(f"{name},0a,/m/{number % 2},0a{number},0,1,0,1,0.9,\n" for number, name in enumerate(names))
    path.write_text(f"MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n{rows}")
    return path


def _write_openimages_classes(folder: Path) -> Path:
    return _write_openimages(folder).with_name("class-descriptions.csv")


def _write_openimages_mask(folder: Path) -> Path:
    return _write_openimages(folder).with_name("validation-masks-0") / "0a_m0_0.png"


def _write_hdf5(folder: Path) -> Path:
    import cv2
    import h5py

    picture, mask = _scene()
    path = folder / "a.h5"
    with h5py.File(path, "w") as file:
        for key, pixels in (("rgb_images", picture), ("instance_masks", mask)):
            table = file.create_dataset(key, (2,), maxshape=(None,), dtype=h5py.vlen_dtype(np.uint8))
            for index in range(2):
                table[index] = cv2.imencode(".png", pixels)[1].ravel()
        file["image_instance_indices"] = np.array([[0, 1], [1, 1]])
        file["sequence_indices"] = np.array([[0, 2]])
        file.create_group("metadata").attrs["dataset_name"] = "COCO"
    return path


def _write_hypersim(folder: Path) -> Path:
    import h5py

    picture, mask = _scene()
    images = folder / "ai_001_001/images"
    _saved(images / "scene_cam_00_final_preview/frame.0000.tonemap.jpg", picture)
    files = images / "scene_cam_00_geometry_hdf5"
    files.mkdir(parents=True, exist_ok=True)
    for name in ("semantic", "semantic_instance"):
        with h5py.File(files / f"frame.0000.{name}.hdf5", "w") as file:
            file.create_dataset("dataset", data=np.where(mask > 0, 5, -1).astype(np.int16), compression="gzip")
    return files / "frame.0000.semantic_instance.hdf5"


def _tiny_state() -> dict[str, Any]:
    import torch

    return {f"layer.{number}.weight": torch.arange(12.0).reshape(3, 4) for number in range(3)}


def _write_safetensors(folder: Path) -> Path:
    from safetensors.torch import save_file

    path = folder / "a.safetensors"
    save_file(_tiny_state(), path, metadata={"flip": "{}"})
    return path


def _open_weights(path: Path) -> list[str]:
    from flip.checkpoint import read_weights

    read_weights(path)
    return []


def _write_torch(folder: Path) -> Path:
    import torch

    path = folder / "a.pt"
    torch.save(_tiny_state(), path)
    return path


def _open_torch(path: Path) -> list[str]:
    from flip.lightning import read_state_dict

    read_state_dict(path, keys=())
    return []


def _training_config() -> Any:
    from flip.training.config import read_config

    return read_config("flip-tiny")


def _write_training_checkpoint(folder: Path) -> Path:
    import torch

    path = folder / "checkpoint.pt"
    state = {
        "step": 3,
        "config": _training_config().model_dump_json(),
        "model": _tiny_state(),
        "memory": torch.zeros(2),
    }
    torch.save(state, path)
    return path


def _open_training_checkpoint(path: Path) -> list[str]:
    from flip.training.checkpoint import read_checkpoint

    read_checkpoint(path.parent, _training_config())
    return []


def _write_onnx(folder: Path) -> Path:
    import onnx
    import onnx.numpy_helper

    tensors = [onnx.numpy_helper.from_array(tensor.numpy(), name) for name, tensor in _tiny_state().items()]
    nodes = [onnx.helper.make_node("MatMul", ["x", "layer.0.weight"], ["y"], "/layer/0/MatMul")]
    path = folder / "a.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], tensors)), path)
    return path


def _write_record(folder: Path) -> Path:
    from flip.training_data import TrainingData, write_record

    write_record(TrainingData("made", ("coco",), {"a": "b"}, {"c": "d"}), folder / "a.safetensors", "ab")
    return folder / "a.json"


def _open_record(path: Path) -> list[str]:
    from flip.training_data import read_record

    if data := read_record(path.with_suffix(".safetensors"), "ab"):
        data.summary(), data.has_object(("b",)), data.has_background("d"), data.has_dataset("coco")
    return []


def _write_plan(folder: Path) -> Path:
    from objascale.plan import Plan, PlanSettings, RenderSettings, save_plan
    from objascale.sources import Asset

    objects = [Asset(f"o{number}", "cup", folder / f"{number}.glb", "ab" * 32) for number in range(3)]
    maps = [Asset("m", "", folder / "m.exr", "cd" * 32)]
    save_plan(Plan(objects, maps, PlanSettings(), RenderSettings(), 4), folder / "plan.json")
    return folder / "plan.json"


def _open_plan(path: Path) -> list[str]:
    from objascale.plan import load_plan, spec_id

    plan = load_plan(path)
    for slot in range(min(plan.n, 4)):
        spec = plan.draw(slot)
        plan.assets(spec), spec_id(spec, plan.render)
    return []


def _write_dataset(folder: Path) -> Path:
    from tests.conftest import write_folder

    return write_folder(folder, 3, size=24) / "annotations.parquet"


def _write_render_journal(folder: Path) -> Path:
    import pandas as pd

    rows = pd.read_parquet(_write_dataset(folder)).to_dict("records")
    plain = [{key: getattr(value, "tolist", lambda v=value: v)() for key, value in row.items()} for row in rows]
    records = [{"slot": number, "status": "done", "annotations": [row]} for number, row in enumerate(plain)]
    records.append({"slot": 3, "status": "failed", "kind": "git-lfs", "reason": "a pointer", "message": "a.glb is one"})
    path = folder / "journal.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _open_render_journal(path: Path) -> list[str]:
    from objascale.dataset import DatasetWriter

    DatasetWriter(path.parent).write_annotations()
    return _open_dataset(path.parent)


def _write_header(folder: Path) -> Path:
    return _write_dataset(folder).with_name("dataset.json")


def _write_results(folder: Path) -> Path:
    """Results of two models on three objects, as `bench run` writes them."""
    from bench.prompts import PromptSettings, settings_hash
    from bench.results import RESULTS_SCHEMA, ResultRow, ResultsWriter, append_record

    models = [{"name": name, "family": name, "settings": {}, "weights_sha256": None} for name in ("box", "ellipse")]
    run = {"schema": RESULTS_SCHEMA, "created": "2025-01-02T03:04:05+00:00", "command": ["bench", "run"]}
    run |= {"dataset": {"name": "coco", "path": str(folder), "images": 3}, "models": models, "noise": [0.0]}
    run |= {"prompt": {"source": "matched", "seed": 0}, "environment": {"cpu": "one", "cores": 2, "versions": {}}}
    results = ResultsWriter(folder)
    for number in range(3):
        for model in ("box", "ellipse"):
            about = (model, None, settings_hash({}, PromptSettings()), "coco", str(folder), str(number), "a.png")
            row = ResultRow(
                *(*about, "ab" * 32, str(number), f"a{number}", "cup", 32, 24, 20, 20 / 768, "Ph0", "matched"),
                **{"prompt": "box", "iou": 0.25 * (number + 1), "dice": 0.5, "boundary_iou": 0.5},
                **{"predicted_area": 20, "predicted_rle": "Ph0", "pre_ms": 1.0, "model_ms": 2.0, "post_ms": 0.5},
                seen_in_training="no",
            )
            results.rows[row.key] = row
    results.describe(run)
    results.save()
    with (folder / "journal.jsonl").open("wb", buffering=0) as file:
        for row in results.rows.values():
            append_record(file, vars(row), sync=False)
    return folder / "results.parquet"


def _open_results(path: Path) -> list[str]:
    from bench.compare import PairedComparison, check_exif, rows_of
    from reports.build import make_tables
    from reports.results import read_results

    sides = [rows_of(path.parent, model) for model in ("box", "ellipse")]
    check_exif(*sides)
    PairedComparison.of(*sides).table("category")
    make_tables("iou", read_results([path.parent]), path.parent / "tables")
    return []


def _write_results_journal(folder: Path) -> Path:
    return _write_results(folder).with_name("journal.jsonl")


def _open_results_journal(path: Path) -> list[str]:
    from bench.results import merge_results

    merge_results([path.parent], path.parent / f"out{os.urandom(4).hex()}")
    return []


def _write_run_json(folder: Path) -> Path:
    return _write_results(folder).with_name("run.json")


def _write_exr(folder: Path, **header: Any) -> Path:
    import OpenEXR

    path = folder / "a.exr"
    pixels = np.random.default_rng(0).random((32, 64, 3), np.float32)
    options = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(options, {"RGB": pixels}).write(str(path))
    return path


def _write_hdr(folder: Path) -> Path:
    import cv2

    path = folder / "a.hdr"
    cv2.imwrite(str(path), np.random.default_rng(0).random((32, 64, 3), np.float32).repeat(2, 1)[:, :64])
    return path


def _write_panorama(folder: Path) -> Path:
    return _saved(folder / "a.png", np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8))


def _open_map(path: Path) -> list[str]:
    from objascale import maps

    maps._latest.clear()
    maps.load_map(path, path.parent)
    return []


_DATASET_DOORS = {
    "masks folder": (_write_mask_folder, _dataset_of(1), mutants.PNG),
    "indexed mask": (_write_indexed, _dataset_of(1), mutants.PNG),
    "yolo": (_write_yolo, _dataset_of(1), mutants.TEXT),
    "class names": (_write_classes, _dataset_of(0), mutants.TEXT),
    "kitti360": (_write_kitti, _dataset_of(5), mutants.PNG),
    "coco": (_write_coco, _open_dataset, mutants.JSON),
    "sa1b": (_write_sa1b, _dataset_of(0), mutants.JSON),
    "openimages": (_write_openimages, _dataset_of(0), mutants.TEXT),
    "openimages classes": (_write_openimages_classes, _dataset_of(0), mutants.TEXT),
    "openimages mask": (_write_openimages_mask, _dataset_of(1), mutants.PNG),
    "hdf5": (_write_hdf5, _open_dataset, mutants.BINARY),
    "hypersim": (_write_hypersim, _dataset_of(3), mutants.BINARY),
    "annotations.parquet": (_write_dataset, _dataset_of(0), mutants.PARQUET),
    "dataset.json": (_write_header, _dataset_of(0), mutants.JSON),
    "render journal": (_write_render_journal, _open_render_journal, mutants.JSON_LINES),
}
_PICTURE_REFUSALS = ("flip.prompts.PredictorError", "objascale.masks.MaskError")
_RESULTS_REFUSALS = ("reports.files.ReportError", "bench.results.ResultsError")

DOORS: dict[str, Door] = {
    name: Door(write, open_, (DATASET,), mutations) for name, (write, open_, mutations) in _DATASET_DOORS.items()
}
DOORS |= {
    "jpeg": Door(lambda at: _picture(".jpg", exif=_exif())(at), _open_picture, _PICTURE_REFUSALS, mutants.BINARY),
    "png": Door(lambda at: _picture(".png", exif=_exif())(at), _open_picture, _PICTURE_REFUSALS, mutants.PNG),
    "webp": Door(lambda at: _picture(".webp", exif=_exif())(at), _open_picture, _PICTURE_REFUSALS, mutants.BINARY),
    "tiff": Door(_write_deep_picture, _open_picture, _PICTURE_REFUSALS, mutants.BINARY),
    "mask": Door(lambda at: _saved(at / "a.png", _scene()[1]), _open_mask, _PICTURE_REFUSALS, mutants.PNG),
    "exr": Door(_write_exr, _open_map, (MAP,), mutants.BINARY),
    "hdr": Door(_write_hdr, _open_map, (MAP,), mutants.BINARY),
    "panorama": Door(_write_panorama, _open_map, (MAP,), mutants.PNG),
    "safetensors": Door(_write_safetensors, _open_weights, ("flip.checkpoint.WeightsBroken",), mutants.SAFETENSORS),
    "onnx": Door(_write_onnx, _open_weights, ("flip.checkpoint.WeightsBroken",), mutants.BINARY),
    "pt": Door(_write_torch, _open_torch, ("flip.lightning.CheckpointBroken",), mutants.ZIP),
    "training checkpoint": Door(
        _write_training_checkpoint,
        _open_training_checkpoint,
        ("flip.training.config.TrainingError",),
        mutants.ZIP,
    ),
    "training record": Door(_write_record, _open_record, ("flip.training_data.RecordBroken",), mutants.JSON),
    "plan": Door(_write_plan, _open_plan, ("objascale.plan.PlanError",), mutants.JSON),
    "results journal": Door(
        _write_results_journal, _open_results_journal, ("bench.results.ResultsError",), mutants.JSON_LINES
    ),
    "results.parquet": Door(_write_results, _open_results, _RESULTS_REFUSALS, mutants.PARQUET),
    "run.json": Door(_write_run_json, _open_results, _RESULTS_REFUSALS, mutants.JSON),
}


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant. `file` is the damaged file."""

    number: int
    file: str
    outcome: str
    messages: list[str]
    peak_mib: int = 0


def _outcome(door: Door, file: Path, number: int) -> Outcome:
    try:
        problems = door.open(file)
    except Exception as error:
        names = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
        if names.intersection(door.refusals):
            return Outcome(number, str(file), "refused", [str(error)])
        return Outcome(number, str(file), "broken", [traceback.format_exc()])
    return Outcome(number, str(file), "read", problems)


def main() -> None:
    name, folder, first, last = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    door = DOORS[name]
    file = door.write(folder)
    sound = file.read_bytes()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    assert (checked := _outcome(door, file, -1)).outcome == "read", checked
    assert not checked.messages, checked
    print(READY, file=answers)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT,) * 2)
    for number in range(first, last):
        file.unlink(missing_ok=True)
        file.write_bytes(mutants.mutant(sound, door.mutations, number))
        outcome = _outcome(door, file, number)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        answers.write(json.dumps(asdict(replace(outcome, peak_mib=peak))) + "\n")


if __name__ == "__main__":
    main()
