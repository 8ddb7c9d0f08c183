"""The notebook docs/tour.ipynb: executed in an empty folder, with its outputs.

    python docs/notebook.py            # execute every cell and write the outputs
    python docs/notebook.py --check    # exit with 1 if a cell fails, or if the outputs are not those of these cells

The cells need no network: they render with generated objects, and run models that come with the package. Numbers and
pictures may differ in the last digits between processors, so `--check` compares the kinds of the outputs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "docs/tour.ipynb"
MAX_BYTES = 300_000  # of the file
SECONDS_PER_CELL = 600


def execute(notebook: Any) -> Any:
    """Return a copy of a notebook with the outputs of its cells. Raises CellExecutionError."""
    executed = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"IPYTHONDIR": f"{folder}/ipython", "JUPYTER_RUNTIME_DIR": f"{folder}/jupyter"}
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        work = Path(folder, "work")
        work.mkdir()
        options = {"timeout": SECONDS_PER_CELL, "startup_timeout": SECONDS_PER_CELL, "record_timing": False}
        client = NotebookClient(executed, kernel_name="python3", resources={"metadata": {"path": work}}, **options)
        client.execute()
    executed.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "sources_sha256": sources_sha256(executed),
    }
    return executed


def sources_sha256(notebook: Any) -> str:
    """Return the SHA-256 of the sources of the code cells."""
    return hashlib.sha256("\0".join(cell.source for cell in code_cells(notebook)).encode()).hexdigest()


def code_cells(notebook: Any) -> list[Any]:
    """Return the code cells."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: Any) -> list[list[str]]:
    """Return the MIME types of each output of a cell; the name of the stream for printed text."""
    return [sorted(output.get("data", {})) or [output.get("name", output.output_type)] for output in cell.outputs]


def faults(notebook: Any) -> list[str]:
    """Return what is wrong with the outputs of a notebook that is not executed again."""
    found = []
    if notebook.metadata.get("sources_sha256") != sources_sha256(notebook):
        found.append("a code cell has changed since it was executed")
    if [cell.execution_count for cell in code_cells(notebook)] != list(range(1, len(code_cells(notebook)) + 1)):
        found.append("the code cells were not executed in order")
    content = nbformat.writes(notebook)
    if len(content.encode()) > MAX_BYTES:
        found.append(f"the file has more than {MAX_BYTES:,} bytes; make its pictures smaller")
    private = {str(ROOT), str(Path.home()), tempfile.gettempdir()} - {"/"}
    if places := sorted(place for place in private if f"{place}/" in content):
        found.append(f"an output names a folder of this machine, {places[0]}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing, and fail if an output is not of its cell")
    options = parser.parse_args()
    notebook = nbformat.read(NOTEBOOK, 4)
    try:
        executed = execute(notebook)
    except CellExecutionError as error:
        raise SystemExit(f"error: a cell of {NOTEBOOK.name} fails: {error.ename}: {error.evalue}") from None
    wrong = faults(notebook if options.check else executed)
    pairs = zip(code_cells(notebook), code_cells(executed), strict=True)
    if options.check and any(kinds(old) != kinds(new) for old, new in pairs):
        wrong.append("an output is of another kind than the one that its cell makes")
    if wrong:
        raise SystemExit(f"error: {'; '.join(wrong)}; `python docs/notebook.py` executes {NOTEBOOK.name} again")
    if not options.check:
        nbformat.write(executed, NOTEBOOK)
    print(f"{len(code_cells(executed))} cells run")


if __name__ == "__main__":
    main()
