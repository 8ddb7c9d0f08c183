"""`flip pseudo-label`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from flip.choices import Device
from objascale.progress import track
from objascale.terminal import complain, errors, fail, fail_interrupted


def pseudo_label(
    pictures: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of JPEG and PNG files.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder. An unfinished one is continued.")],
    teacher: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Model that makes the masks: a name that `bench models` lists, or hf:NAME. Best is one that takes "
            "clicks, such as mobilesam-onnx. FLIP needs the extent of an object, and segments textures too.",
        ),
    ],
    second: Annotated[
        str, typer.Option(metavar="MODEL", help="Model that must agree. With the teacher itself, it is asked again.")
    ] = "flip-tiny",
    grid: Annotated[int, typer.Option(min=1, max=64, help="Points along each side of a picture.")] = 8,
    stability: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum IoU of a mask with those of jittered prompts.")
    ] = 0.85,
    agreement: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum IoU of a mask with that of the second model.")
    ] = 0.75,
    min_area: Annotated[int, typer.Option(min=1, help="Minimum area of a mask, px.")] = 64,
    weights: Annotated[
        Path | None,
        typer.Option(help="Weights folder. Default: $OBJASCALE_WEIGHTS, then the user's cache."),
    ] = None,
    device: Annotated[Device, typer.Option(help="Device of the networks. auto uses a GPU if available.")] = "auto",
) -> None:
    """Make masks for pictures without annotation, as training data for `flip train`.

    A teacher is asked at a grid of points. A mask is kept if jittered prompts give nearly the same one and a second
    model agrees. The output is a data set in COCO's format. The same command continues an interrupted run.
    """
    from flip.prompts import PredictorError
    from flip.pseudo_labels.labels import JOURNAL_FILE, LabelError, Labelling
    from flip.pseudo_labels.masks import LabelSettings
    from flip.pseudo_labels.teacher import TeacherUnavailable, load_teacher

    settings = LabelSettings(grid=grid, stability=stability, agreement=agreement, min_area=min_area)
    with errors(LabelError, TeacherUnavailable, PredictorError):
        asked = load_teacher(teacher, weights, device)
        confirming = asked if second == teacher else load_teacher(second, weights, device)
        labelling = Labelling(pictures, out, asked, confirming, settings)
        files = labelling.begin()
        try:
            for _ in track(labelling.label(files), "labelling", "pictures", len(files)):
                pass
        except KeyboardInterrupt as interrupt:
            fail_interrupted(interrupt)
        shown, masks, failed = labelling.finish()
        _complain_of_failures(failed, out / JOURNAL_FILE)
        typer.echo(f"{masks} masks of {shown} pictures in {out}")
        if not masks:
            fail("no mask passed the checks; lower --stability or --agreement, or use another teacher")


def _complain_of_failures(failed: Counter[str], journal: Path) -> None:
    for reason, count in failed.most_common(3):
        complain(f"{count} pictures left out: {reason}")
    if failed:
        complain(f"{journal} names the files")
