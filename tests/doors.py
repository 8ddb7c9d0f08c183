"""The doors of the suite: every kind of file that it reads, as a sound sample, and the function that opens it.

    python -m tests.doors

reads requests, each a line of JSON: name of a door, folder, first, last. For each it forks a process, so that all doors
share the time to import the libraries. That process writes the sample of the door, replaces it by the mutants from
`first` to `last` - 1, one after the other, and opens each. Its standard output and standard error go to LOG in the
folder. The answers are lines of JSON: `ready`, the number of the process, when it has opened the sound sample;
`number`, `outcome` (read, refused or broken), `messages` and `peak_mib` for each mutant; `ended`, the exit code.
"""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import IO

from objascale.cores import peak_memory
from tests import mutants, sound_files

MEMORY_LIMIT = 4 << 30
_RAW = re.compile(r"Traceback|\w+(Error|Exception)\(|<class |\bobject at 0x|\n")
LOG = "log"
_LIBRARIES = (
    *(
        "bench.compare",
        "flip.lightning",
        "flip.picture_files",
        "flip.training.checkpoint",
        "objascale.datasets.formats",
    ),
    *("objascale.maps", "objascale.plan", "onnx", "reports.build"),
)
"""Modules that the doors import, and with them their libraries."""

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


def _open_mask(path: Path) -> list[str]:
    from flip.picture_files import read_mask

    read_mask(path, path, 32, 24)
    return []


def _open_weights(path: Path) -> list[str]:
    from flip.checkpoint import read_weights

    read_weights(path)
    return []


def _open_torch(path: Path) -> list[str]:
    from flip.lightning import read_state_dict

    read_state_dict(path, keys=())
    return []


def _open_training_checkpoint(path: Path) -> list[str]:
    from flip.training.checkpoint import read_checkpoint

    read_checkpoint(path.parent, sound_files.training_config())
    return []


def _open_record(path: Path) -> list[str]:
    from flip.training_data import read_record

    if data := read_record(path.with_suffix(".safetensors"), "ab"):
        data.summary(), data.has_object(("b",)), data.has_background("d"), data.has_dataset("coco")
    return []


def _open_plan(path: Path) -> list[str]:
    from objascale.plan import load_plan
    from objascale.spec import spec_id

    plan = load_plan(path)
    for slot in range(min(plan.n, 4)):
        spec = plan.draw(slot)
        plan.assets(spec), spec_id(spec, plan.render)
    return []


def _open_render_journal(path: Path) -> list[str]:
    from objascale.dataset import DatasetWriter

    DatasetWriter(path.parent).write_annotations()
    return _open_dataset(path.parent)


def _open_results(path: Path) -> list[str]:
    from bench.compare import PairedComparison, check_exif, rows_of
    from bench.submit import Measured, submission
    from reports.build import make_tables
    from reports.results import read_results

    sides = [rows_of(path.parent, model) for model in ("box", "ellipse")]
    check_exif(*sides)
    PairedComparison.of(*sides).table("category")
    submission(Measured.read(path.parent), "box", errors_as_zero=True)
    make_tables("iou", read_results([path.parent]), path.parent / "tables")
    return []


def _open_results_journal(path: Path) -> list[str]:
    from bench.results import merge_results

    merge_results([path.parent], path.parent / f"out{os.urandom(4).hex()}")
    return []


def _open_detections(path: Path) -> list[str]:
    from bench.protocols.detections import Detections, detector_settings
    from objascale.datasets.formats import open_dataset

    dataset = open_dataset(path.parent / "data")
    found = Detections(path, detector_settings(path, 0).detections_sha256, dataset)
    for sample in dataset.samples:
        found.of(sample)
    return []


def _open_map(path: Path) -> list[str]:
    from objascale import maps

    maps._latest.clear()
    maps.load_map(path, path.parent)
    return []


def _open_depth(path: Path) -> list[str]:
    from objascale.depth import read_depth

    read_depth(path)
    return []


_DATASET_DOORS = {
    "masks folder": (sound_files.write_mask_folder, _dataset_of(1), mutants.PNG),
    "indexed mask": (sound_files.write_indexed, _dataset_of(1), mutants.PNG),
    "yolo": (sound_files.write_yolo, _dataset_of(1), mutants.TEXT),
    "class names": (sound_files.write_classes, _dataset_of(0), mutants.TEXT),
    "kitti360": (sound_files.write_kitti, _dataset_of(5), mutants.PNG),
    "coco": (sound_files.write_coco, _open_dataset, mutants.JSON),
    "sa1b": (sound_files.write_sa1b, _dataset_of(0), mutants.JSON),
    "openimages": (sound_files.write_openimages, _dataset_of(0), mutants.TEXT),
    "openimages classes": (sound_files.write_openimages_classes, _dataset_of(0), mutants.TEXT),
    "openimages mask": (sound_files.write_openimages_mask, _dataset_of(1), mutants.PNG),
    "hdf5": (sound_files.write_hdf5, _open_dataset, mutants.BINARY),
    "hypersim": (sound_files.write_hypersim, _dataset_of(3), mutants.BINARY),
    "annotations.parquet": (sound_files.write_dataset, _dataset_of(0), mutants.PARQUET),
    "dataset.json": (sound_files.write_header, _dataset_of(0), mutants.JSON),
    "render journal": (sound_files.write_render_journal, _open_render_journal, mutants.JSON_LINES),
}
_PICTURE_REFUSALS = ("flip.prompts.PredictorError", "objascale.masks.MaskError")
_RESULTS_REFUSALS = ("reports.files.ReportError", "bench.run_file.ResultsError")

DOORS: dict[str, Door] = {
    name: Door(write, open_, (DATASET,), mutations) for name, (write, open_, mutations) in _DATASET_DOORS.items()
}
DOORS |= {
    "jpeg": Door(
        lambda at: sound_files.picture(".jpg", exif=sound_files.exif())(at),
        _open_picture,
        _PICTURE_REFUSALS,
        mutants.BINARY,
    ),
    "png": Door(
        lambda at: sound_files.picture(".png", exif=sound_files.exif())(at),
        _open_picture,
        _PICTURE_REFUSALS,
        mutants.PNG,
    ),
    "webp": Door(
        lambda at: sound_files.picture(".webp", exif=sound_files.exif())(at),
        _open_picture,
        _PICTURE_REFUSALS,
        mutants.BINARY,
    ),
    "tiff": Door(sound_files.write_deep_picture, _open_picture, _PICTURE_REFUSALS, mutants.BINARY),
    "mask": Door(
        lambda at: sound_files.saved(at / "a.png", sound_files.scene()[1]), _open_mask, _PICTURE_REFUSALS, mutants.PNG
    ),
    "exr": Door(sound_files.write_exr, _open_map, (MAP,), mutants.BINARY),
    "depth map": Door(sound_files.write_depth_map, _open_depth, (DATASET,), mutants.BINARY),
    "hdr": Door(sound_files.write_hdr, _open_map, (MAP,), mutants.BINARY),
    "panorama": Door(sound_files.write_panorama, _open_map, (MAP,), mutants.PNG),
    "safetensors": Door(
        sound_files.write_safetensors, _open_weights, ("flip.checkpoint.WeightsBroken",), mutants.SAFETENSORS
    ),
    "onnx": Door(sound_files.write_onnx, _open_weights, ("flip.checkpoint.WeightsBroken",), mutants.BINARY),
    "pt": Door(sound_files.write_torch, _open_torch, ("flip.lightning.CheckpointBroken",), mutants.ZIP),
    "training checkpoint": Door(
        sound_files.write_training_checkpoint,
        _open_training_checkpoint,
        ("flip.training.config.TrainingError",),
        mutants.ZIP,
    ),
    "training record": Door(sound_files.write_record, _open_record, ("flip.training_data.RecordBroken",), mutants.JSON),
    "plan": Door(sound_files.write_plan, _open_plan, ("objascale.plan.PlanError",), mutants.JSON),
    "results journal": Door(
        sound_files.write_results_journal, _open_results_journal, ("bench.run_file.ResultsError",), mutants.JSON_LINES
    ),
    "detections": Door(
        sound_files.write_detections, _open_detections, ("bench.selection.SelectionError",), mutants.JSON
    ),
    "results.parquet": Door(sound_files.write_results, _open_results, _RESULTS_REFUSALS, mutants.PARQUET),
    "run.json": Door(sound_files.write_run_json, _open_results, _RESULTS_REFUSALS, mutants.JSON),
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


def _serve(answers: IO[str], name: str, folder: Path, first: int, last: int) -> None:
    """Meet one request."""
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    door = DOORS[name]
    file = door.write(folder)
    sound = file.read_bytes()
    assert (checked := _outcome(door, file, -1)).outcome == "read", checked
    assert not checked.messages, checked
    print(json.dumps({"ready": os.getpid()}), file=answers)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_LIMIT,) * 2)
    for number in range(first, last):
        file.unlink(missing_ok=True)
        file.write_bytes(mutants.mutant(sound, door.mutations, number))
        outcome = _outcome(door, file, number)
        peak = peak_memory() >> 20
        print(json.dumps(asdict(replace(outcome, peak_mib=peak))), file=answers)


def main() -> None:
    for library in _LIBRARIES:
        import_module(library)
    gc.freeze()  # otherwise each child copies and deletes all objects of the libraries when it ends
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        name, folder, first, last = json.loads(line)
        child = os.fork()
        if not child:
            _serve(answers, name, Path(folder), first, last)
            return  # the process ends as one of its own does, with the exit code that this has
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"ended": code}), file=answers)


if __name__ == "__main__":
    main()
