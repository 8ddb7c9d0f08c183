"""The tables and figures of the documentation: made by commands, from the results folders in docs/results/.

    python docs/tables.py                                    # make every table and figure again
    python docs/tables.py --check                            # exit with 1 if a table is not what its command prints
    python docs/tables.py --keep results/furniture ...       # copy results into docs/results/ first

A table stands between two comments in the page:

    <!-- $ reports table size docs/results/furniture -->
    <!-- end -->

FIGURES lists the figures, which become docs/images/NAME.png. `--keep` copies what the tables need of a results folder:
run.json without this machine's paths, and results.parquet without the masks.
"""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

import pandas as pd
from typer.testing import CliRunner

from bench.cli import app as bench
from reports.cli import app as reports

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"(<!-- \$ (?P<command>.+?) -->\n)(?P<content>.*?)(<!-- end -->)", re.DOTALL)
PROGRAMS = {"reports": reports, "bench": bench}
FIGURES = {"iou-by-size": "docs/results/furniture"}
"""Name of a figure in `reports figure` → its results."""


def fill(text: str) -> str:
    """The text of a page with the output of each block's command in it."""
    return BLOCK.sub(lambda block: f"{block[1]}\n{output_of(block['command'])}\n\n{block[4]}", text)


def output_of(command: str) -> str:
    """What a command prints, in a code fence unless it is Markdown. Raises SystemExit if the command fails."""
    program, *arguments = shlex.split(command)
    if program not in PROGRAMS:
        raise SystemExit(f"error: {command}: a table is made by {' or '.join(PROGRAMS)}, not by {program}")
    is_table = (program, arguments[0]) == ("reports", "table")
    with tempfile.TemporaryDirectory() as scratch, chdir(ROOT):
        files = ["--out", scratch] if is_table else []
        done = CliRunner().invoke(PROGRAMS[program], [*arguments, *files])
    if done.exit_code:
        raise SystemExit(f"error: {command}: {done.stderr.strip()}")
    printed = "\n".join(line.rstrip() for line in done.stdout.strip("\n").splitlines())
    return printed if is_table else f"```\n{printed}\n```"


def draw(name: str, results: str) -> None:
    """Draw a figure into docs/images/."""
    with tempfile.TemporaryDirectory() as scratch:
        run = [sys.executable, "-m", "reports.cli", "figure", name, results, "--out", scratch]
        subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (png,) = Path(scratch).rglob(f"{name}.png")
        shutil.copyfile(png, ROOT / "docs/images" / png.name)


def keep(folder: Path) -> None:
    """Copy a results folder into docs/results/, without masks and without paths of this machine."""
    target = ROOT / "docs/results" / folder.name
    target.mkdir(parents=True, exist_ok=True)
    run = json.loads((folder / "run.json").read_text())
    name = f"data/{Path(run['dataset']['path']).name}"
    run["dataset"]["path"] = name
    run["command"] = [part for part in run["command"] if not part.startswith("/")]
    (target / "run.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")
    rows = pd.read_parquet(folder / "results.parquet")
    rows = rows.assign(dataset_path=name, truth_rle="", predicted_rle=None)
    rows.to_parquet(target / "results.parquet", index=False, compression="zstd")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", nargs="+", type=Path, default=[], metavar="RESULTS", help="results folders to copy")
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if a table differs")
    options = parser.parse_args()
    for folder in options.keep:
        keep(folder)
    different = []
    for page in PAGES:
        text = page.read_text()
        filled = fill(text)
        if filled != text:
            different.append(str(page.relative_to(ROOT)))
            if not options.check:
                page.write_text(filled)
    if not options.check:
        for name, results in FIGURES.items():
            draw(name, results)
    if options.check and different:
        raise SystemExit(f"error: the tables of {', '.join(different)} are old; `python docs/tables.py` fills them in")
    print(f"{'different' if options.check else 'filled in'}: {', '.join(different) or 'nothing'}")


if __name__ == "__main__":
    main()
