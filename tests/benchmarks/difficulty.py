"""Whether difficulty does what it is for: GrabCut falls, box and ellipse stay, and models rank as on photographs.

    python tests/benchmarks/difficulty.py [--objects FURNITURE] [--weights DIR] [--photos DIR]... [--out difficulty]

The same specs are rendered with all dials of the camera at strength 0 and at strength 4. The first of them are also
rendered without difficulty and with the preset photo, for the ranking of the models, of which MobileSAM is slow.
Objects cover 0.3 to 25 % of the picture, as most objects of photographs with hand-made masks do. The same command
continues an interrupted one. `reports check OUT/results/*` judges the claims on its results. The exit code is 1 if an
aim is missed.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pandas as pd

import bench
import objascale
from objascale.difficulty.record import DIALS
from reports.claims.ranking import clean_agrees, difficulty_agrees_better
from reports.claims.table import interval, number, verdict_words
from reports.results import read_results
from reports.view import ResultsView

CAMERA = ("exposure", "sharpness", "motion", "noise", "compression", "contrast")
PROMPTS, GRABCUT = ["box", "ellipse"], "grabcut"
MODELS = ["flip-tiny", "mobilesam-onnx", "mobilesam-onnx@crop"]
STRONG = 4
MIN_LOSS, MAX_CHANGE = 0.2, 0.005
SIZES = {"min_px": 512, "max_px": 512, "min_fraction": 3e-3, "max_fraction": 0.25}


def camera(strength: int) -> str:
    """Return --difficulty for one strength of all dials of the camera. Other dials are off."""
    return ",".join(f"{dial}={strength if dial in CAMERA else 0}" for dial in DIALS)


CAMERA_RENDERS = {
    "camera-0": {"preset": "photo", "difficulty": camera(0)},
    f"camera-{STRONG}": {"preset": "photo", "difficulty": camera(STRONG)},
}
RANKED_RENDERS = {"clean": {"preset": "full"}, "photo": {"preset": "photo"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=Path, help="furniture library of Sweet Home 3D; else starter objects")
    parser.add_argument("--photos", type=Path, action="append", default=[], help="a data set of photographs")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--n", type=int, default=100, help="number of specs")
    parser.add_argument("--n-ranked", type=int, default=50, help="number of these for the ranking")
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("difficulty"))
    arguments = parser.parse_args()
    source = {"source": "sweethome", "objects": arguments.objects} if arguments.objects else {}
    data = {
        name: objascale.render(
            arguments.out / name,
            **source,
            **chosen,
            **SIZES,
            n=arguments.n if name in CAMERA_RENDERS else arguments.n_ranked,
            samples=arguments.samples,
            seed=arguments.seed,
            workers=1,
        )
        for name, chosen in (CAMERA_RENDERS | RANKED_RENDERS).items()
    }
    data |= {path.name: bench.load_dataset(path) for path in arguments.photos}
    results = arguments.out / "results"
    rows = {}
    for name, dataset in data.items():
        models = [*PROMPTS, GRABCUT, *([] if name in CAMERA_RENDERS else MODELS)]
        rows[name] = bench.evaluate(models, dataset, out=results / name, weights=arguments.weights, offline=True)
    print(f"{sum(os.times()[:4]) / 60:.1f} CPU minutes, Blender included\n")

    reached = [camera_dials(rows["camera-0"], rows[f"camera-{STRONG}"])]
    means = pd.DataFrame({name: part.groupby("model")["iou"].mean() for name, part in rows.items()})
    print(f"\nMean IoU\n{means.reindex([*PROMPTS, GRABCUT, *MODELS]).round(3).to_string(na_rep='—')}")
    reached += [ranking(path, results) for path in arguments.photos]
    sys.exit(0 if all(reached) else 1)


def camera_dials(weak: pd.DataFrame, strong: pd.DataFrame) -> bool:
    """Print the change of IoU from strength 0 to STRONG of the camera's dials, and return whether the aims are met."""
    reached = True
    for model in [GRABCUT, *PROMPTS]:
        before, after = (part[part["model"] == model].set_index("object_id") for part in (weak, strong))
        common = before.index.intersection(after.index)
        changed = int((before.loc[common, "truth_rle"] != after.loc[common, "truth_rle"]).sum())
        change = (after.loc[common, "iou"] - before.loc[common, "iou"]).mean()
        met = not changed and (change <= -MIN_LOSS if model == GRABCUT else abs(change) <= MAX_CHANGE)
        aim = f"at most -{MIN_LOSS}" if model == GRABCUT else f"within {MAX_CHANGE}"
        means = f"{before['iou'].mean():.3f} → {after['iou'].mean():.3f}"
        told = f"aim: {aim}; {'met' if met else 'missed'}"
        print(f"{model}: {means}, {change:+.3f} over {len(common)} objects, of which {changed} masks differ ({told})")
        reached &= met
    return reached


def ranking(photos: Path, results: Path) -> bool:
    """Print τ of clean renders and of photo with photographs, and return whether that of photo is higher."""
    joined = read_results([results / name for name in ("clean", "photo", photos.name)])
    view = ResultsView(joined, next(name for name in joined.datasets if not name.startswith("objascale")), {})
    print(f"\nKendall's τ of the order of the models, {photos.name}")
    (clean,), (better,) = clean_agrees(view), difficulty_agrees_better(view)
    for what, found in (("clean", clean), ("photo − clean", better)):
        print(f"{what}: {number(found.value)} [{interval(found)}], {verdict_words(found)}. {found.reason}")
    return better.value > 0


if __name__ == "__main__":
    main()
