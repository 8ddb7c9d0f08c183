"""Objects imported and rendered by a Blender process that the tests share: its start takes two seconds of CPU time.

    python -m tests.looking

The process reads lines of JSON, `[folder, jobs]`, and answers each with a line: the traceback of an error, or null. The
result of job k is `folder/k.npz`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Seen:
    """Result of one job: 64×64 px, the camera 4 m from the origin, uniform white light."""

    answer: dict[str, Any]  # "missing", "objects", or "refused" and "message"
    arrays: dict[str, np.ndarray]  # rgba (premultiplied, linear), mask, position, points0, points1, …


class Looker:
    """The process. It starts with the first jobs, and again after it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115, lives as long as the process

    def look(self, folder: Path, jobs: list[dict[str, Any]]) -> list[Seen]:
        """Do jobs. Each has `files`, `azimuth`, `elevation`, and `then`, code that runs before the camera is set."""
        if self._process is None or self._process.poll() is not None:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._log}
            self._process = subprocess.Popen([sys.executable, "-m", "tests.looking"], cwd=ROOT, text=True, **pipes)
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(folder), jobs]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self._printed()[-3000:]
        error = json.loads(answer)
        assert error is None, error
        return [_seen(folder / f"{number}.npz") for number in range(len(jobs))]

    def _printed(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.communicate()
        self._log.close()


def _seen(file: Path) -> Seen:
    with np.load(file) as stored:
        arrays = dict(stored)
    if "mask" in arrays:  # also through holes and glass, and although silhouettes have no light and no bounces
        assert (arrays.pop("silhouette") == arrays["mask"]).all()
    return Seen(json.loads(str(arrays.pop("answer"))), arrays)


def main() -> None:
    """Answer requests until the standard input ends."""
    from objascale.maps import write_exr

    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what Blender prints goes to the log
    for line in sys.stdin:
        folder, jobs = json.loads(line)
        error = None
        try:
            write_exr(Path(folder) / "white.exr", np.ones((8, 16, 3), np.float32))
            for number, job in enumerate(jobs):
                _do(Path(folder), number, job)
        except Exception:
            error = traceback.format_exc()
        answers.write(json.dumps(error) + "\n")


def _do(folder: Path, number: int, job: dict[str, Any]) -> None:
    import bpy

    from objascale.blender import scene
    from objascale.blender.importing import import_object
    from objascale.camera import Camera
    from objascale.files import file_sha256
    from objascale.refusal import Refusal
    from objascale.settings import RenderSettings

    scene.clear()
    scene.choose_device("cpu")
    answer: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    try:
        things = [import_object(Path(p), file_sha256(Path(p)), 0.0, i + 1) for i, p in enumerate(job["files"])]
        answer["missing"] = [thing.missing_textures for thing in things]
        answer["objects"] = sorted(thing.name for thing in bpy.data.objects)
        arrays = {f"points{i}": thing.points for i, thing in enumerate(things)}
        scene.prepare(RenderSettings(noise_threshold=0), False, 2)
        exec(job["then"], {"bpy": bpy, "np": np, "Path": Path, "scene": scene, "things": things, "answer": answer})
        camera = Camera(64, 64, 0.6, job["azimuth"], job["elevation"]).looking_at_origin_through(32, 32, 4.0)
        arrays["silhouette"] = scene.silhouette(camera, (0, 0, 64, 64), folder)
        scene.surround(*answer.pop("light", [folder / "white.exr"]))
        traced = scene.trace(camera, (0, 0, 64, 64), 16, False, folder)
        arrays["rgba"], arrays["mask"] = traced.rgba, traced.index > 0
        arrays["position"] = np.array(camera.position)
    except Refusal as refusal:
        answer = {"refused": refusal.kind, "message": str(refusal)}
    np.savez(folder / f"{number}.npz", answer=json.dumps(answer), **arrays)


if __name__ == "__main__":
    main()
