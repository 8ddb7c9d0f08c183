"""The gallery of a long run: seconds and memory to build it, and how it opens and scrolls in Chromium.

    python tests/benchmarks/gallery.py RESULTS [--objects 10200] [--models 8] [--pictures N] [--keep FOLDER]

RESULTS is a small run whose data set is on this machine. Its rows are repeated until there are `--objects` objects and
`--models` models, in `--pictures` pictures. A copy of a picture has another name and SHA-256, so that it is decoded and
cut out again, as a picture of its own would be. The page is opened from disk.

`build` is the report with all figures and tables: CPU seconds of all processes, and the largest sum of their
proportional set sizes in MiB, which counts a page that processes share once. `page` is the size of
index.html and objects.js. `first card` is the time from opening the page at its gallery to the first card with its
outlines; `frames` are the times between frames while the gallery scrolls by 60 screens in 5 seconds: the median, the
99th percentile, and the share above 50 ms.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from playwright.sync_api import Page, sync_playwright
from usage import cpu

from reports.build import build_report

SCROLL = """async () => {
    const times = [], start = performance.now(), height = 60 * pane.clientHeight;
    for (let last = start; last - start < 5000;) {
        pane.scrollTop = height * (last - start) / 5000;
        const now = await new Promise(requestAnimationFrame);
        times.push(now - last);
        last = now;
    }
    return times.slice(1);
}"""


def repeat(results: Path, objects: int, models: int, pictures: int) -> Path:
    """Return a new folder with the repeated rows."""
    rows = pd.read_parquet(results / "results.parquet")
    names = rows["model"].unique()
    wide = [
        rows[rows["model"] == names[i % len(names)]].assign(
            model=f"{names[i % len(names)]}-{i}" if i >= len(names) else names[i]
        )
        for i in range(models)
    ]
    one, distinct = pd.concat(wide, ignore_index=True), max(1, pictures // rows["image_id"].nunique())
    folder = Path(tempfile.mkdtemp(prefix="gallery-"))
    files = one.drop_duplicates("image_file").set_index("image_file")["dataset_path"]
    copies = []
    for copy in range(-(-objects // rows.groupby(["image_id", "object_id"]).ngroups)):
        end = f"-{copy % distinct}"
        copies.append(
            one.assign(
                **{name: one[name] + end for name in ("image_id", "image_sha256")},
                image_file=one["image_file"].map(
                    {file: _linked(path, file, folder, end) for file, path in files.items()}
                ),
                object_id=one["object_id"] + f"-{copy}",
                dataset_path=str(folder),
            )
        )
    many = pd.concat(copies, ignore_index=True)
    kept = many[["image_id", "object_id"]].drop_duplicates().head(objects)
    many = many.merge(kept, on=["image_id", "object_id"])
    many["iou"] = (many["iou"] + np.random.default_rng(0).normal(0, 0.05, len(many))).clip(0, 1)
    many.to_parquet(folder / "results.parquet")
    run = json.loads((results / "run.json").read_text())
    run["dataset"].pop("benchmark", None)  # the copies are no pictures of the benchmark
    (folder / "run.json").write_text(json.dumps(run))
    return folder


def _linked(dataset: str, file: str, folder: Path, end: str) -> str:
    """Link to a picture of a data set from `folder`, and return the name of the link."""
    link = folder / Path(file).with_stem(Path(file).stem + end)
    if not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to((Path(dataset) / file).resolve())
    return link.relative_to(folder).as_posix()


class Peak(threading.Thread):
    """Samples the proportional set sizes of this process and its children (Linux), summed, in MiB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest, self.ended = 0.0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.3):
            own = psutil.Process()
            used = 0
            for process in (own, *own.children(recursive=True)):
                try:
                    used += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.highest = max(self.highest, used / 2**20)


def opened(page: Page, address: str) -> float:
    start = time.perf_counter()
    page.goto(f"{address}#objects")
    page.locator("#cards .object path").first.wait_for(state="attached")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--objects", type=int, default=10_200)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--keep", type=Path)
    arguments = parser.parse_args()
    folder = repeat(arguments.results, arguments.objects, arguments.models, arguments.pictures)
    out = arguments.keep or folder / "report"
    peak, before = Peak(), cpu()
    peak.start()
    report = build_report([folder], out)
    peak.ended.set()
    peak.join()
    files = [report.page, *out.rglob("objects.js")]
    print(f"build       {cpu() - before:.0f} s of CPU, {peak.highest:.0f} MiB")
    every = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"page        {sum(path.stat().st_size for path in files) / 1e6:.1f} MB of {every / 1e6:.0f} MB")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
        print(f"first card  {opened(page, report.page.as_uri()):.2f} s")
        times = np.array(page.evaluate(SCROLL))
        slow, long = np.quantile(times, 0.99), 100 * (times > 50).mean()
        print(f"frames      median {np.median(times):.0f} ms, 99 % {slow:.0f} ms, above 50 ms {long:.1f} %")
        print(f"cards       {page.locator('#cards .object').count()} of {arguments.objects} in the page")
        browser.close()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
