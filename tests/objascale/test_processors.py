"""Processors of different kinds draw equal specs, masks and backgrounds; objects differ by rounding.

The tests simulate another kind by disabling instructions of this processor. Cycles has kernels for AVX2 and for
SSE4.2, the minimum of Blender, so no variable disables more. A variable that disables an instruction that this
processor lacks has no effect.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from objascale.color import blender_datafiles
from objascale.dataset import mask_of
from objascale.engine import EngineSettings
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Refused
from objascale.full_frame import MIN_SHARE
from objascale.plan import Plan
from objascale.records import render_request
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import Asset, folder
from objascale.sources.starter import CATEGORIES, write_object

CYCLES = {"CYCLES_CPU_NO_AVX2": "1"}
NUMBA = {"NUMBA_CPU_NAME": "generic"}
LIBRARIES = {
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
}
KINDS = {"cycles": CYCLES, "numba": NUMBA, "libraries": LIBRARIES, "all": CYCLES | NUMBA | LIBRARIES}
COINCIDENT = ["book", "lamp", "umbrella"]
"""Real objects with duplicate triangles: rounding decides which one a ray hits."""

DRAW = """
from pathlib import Path
from objascale.plan import Plan
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import Asset
objects = [Asset(f"{c}/{i}", c, Path("x"), "0" * 64) for c in "abc" for i in range(3)]
maps = [Asset(name, "", Path("y"), "1" * 64) for name in "de"]
plan = Plan(objects, maps, PlanSettings(max_objects=3), RenderSettings(), 500)
print([plan.draw(slot) for slot in range(plan.n)])
"""

Rendered = dict[int, tuple[np.ndarray, np.ndarray] | str]


def test_a_plan_draws_the_same_specs():
    def drawn(**variables: str) -> str:
        command = [sys.executable, "-c", DRAW]
        return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=True).stdout

    assert drawn() == drawn(**LIBRARIES)


def rendered(plan: Plan, out: Path, monkeypatch: pytest.MonkeyPatch, **variables: str) -> Rendered:
    """Render every slot in a worker with the given environment variables.

    Returns:
        By slot, the image, H×W×3, and the mask, H×W; or the reason of the refusal.
    """
    with monkeypatch.context() as patch:
        if variables:  # the cache of numba is for one kind of processor
            variables["NUMBA_CACHE_DIR"] = str(out / "numba")
        for name, value in variables.items():
            patch.setenv(name, value)
        worker = LocalWorker(EngineSettings(workers=1, threads=2, device="cpu", timeout=600))
        found: Rendered = {}
        try:
            for slot in range(plan.n):
                request = render_request(plan, plan.draw(slot), out)
                reply = worker.ask(request)
                if isinstance(reply, Refused):
                    found[slot] = reply.kind
                else:
                    (row,) = reply.annotations
                    found[slot] = cv2.imread(str(out / request.file)).astype(int), mask_of(vars(row)).full()
        finally:
            worker.stop()
        return found


def shares_within_1(here: Rendered, there: Rendered) -> list[float]:
    """Return the fraction of pixels of each image within 1 of 255; assert equal refusals, masks and backgrounds."""
    shares = []
    for slot, one in here.items():
        if isinstance(one, str):
            assert there[slot] == one == "does-not-fit"
            continue
        (picture, mask), (other, its) = one, there[slot]
        assert np.array_equal(mask, its)
        difference = np.abs(picture - other).max(2)
        near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
        assert not difference[~near].any()
        shares.append(float((difference <= 1).mean()))
    return shares


def small_plan(objects: list[Asset], px: int, settings: RenderSettings) -> Plan:
    """Return a plan of each object once, in the middle of an image of which it covers 1 %."""
    maps = folder.environment_maps(blender_datafiles() / "studiolights/world")[:2]
    ranges = PlanSettings(min_px=px, max_px=px, min_fraction=0.01, max_fraction=0.01, place="centre", min_area=30)
    return Plan(objects, maps, ranges, settings, len(objects))


def starters(names: list[str], base: Path) -> list[Asset]:
    for name in names:
        write_object(name, 0, base / "objects" / name / f"{name}.glb")
    return folder.objects(base / "objects")


def test_a_small_picture_has_the_same_mask_and_background(tmp_path, monkeypatch):
    plan = small_plan(starters(["fireplug"], tmp_path), 96, RenderSettings(samples=16))
    here = rendered(plan, tmp_path / "here", monkeypatch)
    there = rendered(plan, tmp_path / "there", monkeypatch, **KINDS["all"])
    assert min(shares_within_1(here, there)) >= MIN_SHARE


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_every_starter_category_has_the_same_masks_and_backgrounds(tmp_path, monkeypatch):
    plan = small_plan(starters(list(CATEGORIES), tmp_path), 160, RenderSettings())
    here = rendered(plan, tmp_path / "here", monkeypatch)
    for kind, variables in KINDS.items():
        there = rendered(plan, tmp_path / kind, monkeypatch, **variables)
        assert min(shares_within_1(here, there)) >= MIN_SHARE, kind


@pytest.mark.slow
def test_objects_with_coincident_surfaces_have_the_same_masks_and_backgrounds_too(shared, tmp_path, monkeypatch):
    objects = [thing for thing in folder.objects(shared / "assets/objects") if thing.category in COINCIDENT]
    plan = small_plan(objects, 160, RenderSettings())
    here = rendered(plan, tmp_path / "here", monkeypatch)
    there = rendered(plan, tmp_path / "there", monkeypatch, **KINDS["all"])
    assert min(shares_within_1(here, there)) >= 0.98, "only the 1 % of the image that the object covers may differ"


@pytest.mark.slow
def test_verify_on_another_processor_reports_no_damage(made, run_objascale, tmp_path):
    environment = os.environ | KINDS["all"] | {"NUMBA_CACHE_DIR": str(tmp_path)}
    result = run_objascale("verify", made.folder, "--full-frame", 2, "--device", "cpu", env=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "no damage" in result.stdout
