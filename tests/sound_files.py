"""Sound files of every kind that the suite reads.

A `write_` function writes them into a folder and returns one of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A picture, (24, 32, 3), and the mask of its object."""
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    mask = np.zeros((24, 32), np.uint8)
    mask[5:15, 8:20] = 255
    picture[mask > 0] = (220, 30, 30)
    return picture, mask


def saved(path: Path, pixels: np.ndarray, **options: Any) -> Path:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def picture(suffix: str, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / f"a{suffix}", scene()[0], **options)


def exif() -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def write_deep_picture(folder: Path) -> Path:
    import cv2

    path = folder / "a.tif"
    cv2.imwrite(str(path), scene()[0].astype(np.uint16) << 8)
    return path


def write_mask_folder(folder: Path) -> Path:
    picture, mask = scene()
    saved(folder / "images/a.png", picture)
    return saved(folder / "masks/a.png", mask)


def write_indexed(folder: Path) -> Path:
    from PIL import Image

    picture, mask = scene()
    saved(folder / "images/a.png", picture)
    (folder / "masks").mkdir(exist_ok=True)
    image = Image.fromarray(mask // 255, "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.save(folder / "masks/a.png")
    return folder / "masks/a.png"


def write_yolo(folder: Path) -> Path:
    saved(folder / "images/a.png", scene()[0])
    (folder / "labels").mkdir(exist_ok=True)
    path = folder / "labels/a.txt"
    path.write_text("0 0.1 0.1 0.5 0.1 0.5 0.6\n1 0.2 0.2 0.8 0.2 0.8 0.9 0.3 0.8\n")
    return path


def write_classes(folder: Path) -> Path:
    write_yolo(folder)
    path = folder / "data.yaml"
    path.write_text("path: .\nnames:\n  0: cup\n  1: mug\n")
    return path


def write_kitti(folder: Path) -> Path:
    picture, mask = scene()
    frame = "2013_05_28_drive_0000_sync/image_00"
    saved(folder / f"data_2d_raw/{frame}/data_rect/0000000001.png", picture)
    labels = np.where(mask > 0, 26_001, 11_000).astype(np.uint16)
    return saved(folder / f"data_2d_semantics/train/{frame}/instance/0000000001.png", labels)


def coco() -> dict[str, Any]:
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


def write_detections(folder: Path) -> Path:
    """Write a detector's boxes on the images of `write_coco`."""
    (folder / "data").mkdir()
    write_coco(folder / "data")
    boxes = [[1, 1, 3, 2], [10.5, 10, 10, 10]]
    path = folder / "boxes.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5} for box in boxes]))
    return path


def write_coco(folder: Path) -> Path:
    saved(folder / "a.png", scene()[0])
    path = folder / "ann.json"
    path.write_text(json.dumps(coco()))
    return path


def write_sa1b(folder: Path) -> Path:
    saved(folder / "sa_1.jpg", scene()[0])
    rles = [{"id": 3, "segmentation": {"size": [24, 32], "counts": "Ph0"}, "bbox": [0, 0, 1, 1], "area": 20}]
    path = folder / "sa_1.json"
    path.write_text(json.dumps({"image": {"image_id": 1, "width": 32, "height": 24}, "annotations": rles}))
    return path


def write_openimages(folder: Path) -> Path:
    picture, mask = scene()
    saved(folder / "validation_0/0a.jpg", picture)
    names = [f"0a_m0_{number}.png" for number in range(3)]
    for name in names:
        saved(folder / f"validation-masks-0/{name}", mask)
    (folder / "class-descriptions.csv").write_text("/m/0,Cup\n/m/1,Mug\n")
    path = folder / "validation-annotations-object-segmentation.csv"
    rows = "".join(f"{name},0a,/m/{number % 2},0a{number},0,1,0,1,0.9,\n" for number, name in enumerate(names))
    path.write_text(f"MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks\n{rows}")
    return path


def write_openimages_classes(folder: Path) -> Path:
    return write_openimages(folder).with_name("class-descriptions.csv")


def write_openimages_mask(folder: Path) -> Path:
    return write_openimages(folder).with_name("validation-masks-0") / "0a_m0_0.png"


def write_hdf5(folder: Path) -> Path:
    import cv2
    import h5py

    picture, mask = scene()
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


def write_hypersim(folder: Path) -> Path:
    import h5py

    picture, mask = scene()
    images = folder / "ai_001_001/images"
    saved(images / "scene_cam_00_final_preview/frame.0000.tonemap.jpg", picture)
    files = images / "scene_cam_00_geometry_hdf5"
    files.mkdir(parents=True, exist_ok=True)
    for name in ("semantic", "semantic_instance"):
        with h5py.File(files / f"frame.0000.{name}.hdf5", "w") as file:
            file.create_dataset("dataset", data=np.where(mask > 0, 5, -1).astype(np.int16), compression="gzip")
    return files / "frame.0000.semantic_instance.hdf5"


def tiny_state() -> dict[str, Any]:
    import torch

    return {f"layer.{number}.weight": torch.arange(12.0).reshape(3, 4) for number in range(3)}


def write_safetensors(folder: Path) -> Path:
    from safetensors.torch import save_file

    path = folder / "a.safetensors"
    save_file(tiny_state(), path, metadata={"flip": "{}"})
    return path


def write_torch(folder: Path) -> Path:
    import torch

    path = folder / "a.pt"
    torch.save(tiny_state(), path)
    return path


def training_config() -> Any:
    from flip.training.config import read_config

    return read_config("flip-tiny")


def write_training_checkpoint(folder: Path) -> Path:
    import torch

    path = folder / "checkpoint.pt"
    state = {
        "step": 3,
        "config": training_config().model_dump_json(),
        "model": tiny_state(),
        "memory": torch.zeros(2),
    }
    torch.save(state, path)
    return path


def write_onnx(folder: Path) -> Path:
    import onnx
    import onnx.numpy_helper

    tensors = [onnx.numpy_helper.from_array(tensor.numpy(), name) for name, tensor in tiny_state().items()]
    nodes = [onnx.helper.make_node("MatMul", ["x", "layer.0.weight"], ["y"], "/layer/0/MatMul")]
    path = folder / "a.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], tensors)), path)
    return path


def write_record(folder: Path) -> Path:
    from flip.training_data import TrainingData, write_record

    write_record(TrainingData("made", ("coco",), {"a": "b"}, {"c": "d"}), folder / "a.safetensors", "ab")
    return folder / "a.json"


def write_plan(folder: Path) -> Path:
    from objascale.plan import Plan, save_plan
    from objascale.settings import PlanSettings, RenderSettings
    from objascale.sources import Asset

    objects = [Asset(f"o{number}", "cup", folder / f"{number}.glb", "ab" * 32) for number in range(3)]
    maps = [Asset("m", "", folder / "m.exr", "cd" * 32)]
    save_plan(Plan(objects, maps, PlanSettings(), RenderSettings(), 4), folder / "plan.json")
    return folder / "plan.json"


def write_dataset(folder: Path) -> Path:
    from tests.conftest import write_folder

    return write_folder(folder, 3, size=24) / "annotations.parquet"


def write_render_journal(folder: Path) -> Path:
    import pandas as pd

    rows = pd.read_parquet(write_dataset(folder)).to_dict("records")
    plain = [{key: getattr(value, "tolist", lambda v=value: v)() for key, value in row.items()} for row in rows]
    records = [{"slot": number, "status": "done", "annotations": [row]} for number, row in enumerate(plain)]
    records.append({"slot": 3, "status": "failed", "kind": "git-lfs", "reason": "a pointer", "message": "a.glb is one"})
    path = folder / "journal.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_header(folder: Path) -> Path:
    return write_dataset(folder).with_name("dataset.json")


def write_results(folder: Path) -> Path:
    """Results of two models on three objects, as `bench run` writes them."""
    from bench.prompts import PromptSettings, settings_hash
    from bench.results import ResultRow, ResultsWriter, append_record
    from bench.run_file import RESULTS_SCHEMA

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


def write_results_journal(folder: Path) -> Path:
    return write_results(folder).with_name("journal.jsonl")


def write_run_json(folder: Path) -> Path:
    return write_results(folder).with_name("run.json")


def write_exr(folder: Path, **header: Any) -> Path:
    import OpenEXR

    path = folder / "a.exr"
    pixels = np.random.default_rng(0).random((32, 64, 3), np.float32)
    options = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage} | header
    OpenEXR.File(options, {"RGB": pixels}).write(str(path))
    return path


def write_depth_map(folder: Path) -> Path:
    from objascale.depth import write_depth

    path = folder / "a.exr"
    write_depth(path, np.random.default_rng(0).random((40, 64), np.float32))
    return path


def write_hdr(folder: Path) -> Path:
    import cv2

    path = folder / "a.hdr"
    cv2.imwrite(str(path), np.random.default_rng(0).random((32, 64, 3), np.float32).repeat(2, 1)[:, :64])
    return path


def write_panorama(folder: Path) -> Path:
    return saved(folder / "a.png", np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8))
