"""The record of training data, which training itself writes beside the weights."""

from __future__ import annotations

from pathlib import Path

from flip.released.model import RELEASED_CONFIGS
from flip.training.checkpoint import CHECKPOINT_FILE
from flip.training.config import TrainingError
from flip.training_data import RELEASED_TRAINING, UNKNOWN, RecordBroken, TrainingData, read_record, write_record
from flip.weights import sha256
from objascale.scenes import Contents


def record_of(contents: Contents) -> TrainingData:
    """Return the record of a source of scenes. It is incomplete if the SHA-256 of an object's or map's file is missing.

    Starter objects are known by their names.
    """
    files = [sha for name, sha in contents.objects.items() if not name.startswith("starter:")]
    return TrainingData(
        "written by flip train: all data that it was given",
        tuple(sorted(contents.datasets)),
        contents.objects,
        contents.backgrounds,
        contents.pictures,
        complete=all((*files, *contents.backgrounds.values())),
    )


def record_of_weights(weights: Path) -> TrainingData:
    """Return the record beside a weights file, UNKNOWN if there is none. Raises TrainingError."""
    try:
        return read_record(weights, sha256(weights)) or UNKNOWN
    except RecordBroken as error:
        raise TrainingError(str(error)) from None


def record_of_teacher(name: str) -> TrainingData:
    """Return the training data of a teacher, a released model's name or weights file. Raises TrainingError."""
    if name in RELEASED_CONFIGS:
        return RELEASED_TRAINING
    return record_of_weights(Path(name))


def begin_record(out: Path, learned: TrainingData, resumed: bool) -> None:
    """Write OUT/checkpoint.json: `learned`, with the data of earlier starts of this run.

    A run that was begun by a version without this file has an unknown part.

    Raises:
        TrainingError: The file is damaged.
    """
    if resumed:
        try:
            learned = (read_record(out / CHECKPOINT_FILE, "") or UNKNOWN) | learned
        except RecordBroken as error:
            raise TrainingError(str(error)) from None
    write_record(learned, out / CHECKPOINT_FILE, "")


def finish_record(out: Path, weights: Path) -> None:
    """Write the record of the run's data beside its exported weights."""
    if learned := read_record(out / CHECKPOINT_FILE, ""):
        write_record(learned, weights, sha256(weights))
