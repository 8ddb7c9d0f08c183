"""Classes of users, run as FILE.py:CLASS and PACKAGE.MODULE:CLASS."""

from __future__ import annotations

import hashlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines.model import UnknownModel
from baselines.registry import MODELS, find_model, find_models, load
from baselines.segmenter import ModelUnavailable, Options, Prompt
from bench.local import default_workers
from tests import bench_runs

FILE = Path(__file__).with_name("filled_box.py")
BASIS = FILE.read_text()


@pytest.fixture
def bench(tmp_path, monkeypatch, discs):
    """Return a function `bench(models, *arguments)` that runs models on three discs, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    discs(3, "data/objascale")
    return lambda models, *arguments: bench_runs.bench("run", "--models", models, *arguments)


def written(code: str, name: str = "my_model.py") -> str:
    """Write a file, and return its name."""
    Path(name).write_text(BASIS + code)
    return name


def rows() -> pd.DataFrame:
    return pd.read_parquet("results/results.parquet").set_index("model")


def card(name: str = "FilledBox") -> dict:
    return {each["name"]: each for each in json.loads(Path("results/run.json").read_text())["models"]}[name]


def loaded(address: str, **options: str):
    return load(find_model(address), (), Options(**options))


def test_a_class_in_a_file_has_rows_beside_other_models(bench):
    result = bench(f"{written('')}:FilledBox,box,ellipse")
    assert result.exit_code == 0, result.output
    found = rows()
    assert found["error"].isna().all()
    columns = ["object_id", "iou", "predicted_rle", "prompt"]
    assert found.loc["FilledBox", columns].to_numpy().tolist() == found.loc["box", columns].to_numpy().tolist()
    assert (found.loc["FilledBox", ["image_model_ms", "model_ms"]] > 0).all(axis=None)
    assert set(found.loc["FilledBox", "seen_in_training"]) == {"unknown"}
    assert "FilledBox" in result.stdout


def test_the_card_has_the_hash_of_the_source_and_the_name_of_the_file(bench):
    assert bench(f"{written('')}:FilledBox").exit_code == 0
    digest = hashlib.sha256(Path("my_model.py").read_bytes()).hexdigest()
    assert card()["settings"] == {"code_sha256": digest}
    assert (card()["family"], card()["parameters"], card()["untrained"]) == ("my_model.py", None, False)


def test_a_run_is_resumed_but_not_with_another_version_of_the_code(bench):
    name = f"{written('')}:FilledBox"
    assert bench(name, "--limit", 1).exit_code == 0
    assert bench(name).exit_code == 0
    assert bench_runs.lines(Path("results")) == 3
    written("# a comment")
    result = bench(name)
    assert result.exit_code == 1
    assert "results was made with other settings (FilledBox.settings.code_sha256" in result.stderr
    assert bench(name, "--out", "again").exit_code == 0


def test_an_installed_module_runs_and_has_the_hash_of_the_defining_file(bench, tmp_path, monkeypatch):
    package = tmp_path / "site/someones_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from someones_package.net import FilledBox")
    (package / "net.py").write_text(BASIS)
    monkeypatch.syspath_prepend(package.parent)
    assert bench("someones_package:FilledBox").exit_code == 0
    assert card()["settings"]["code_sha256"] == hashlib.sha256(BASIS.encode()).hexdigest()
    assert bench("someones_package.net:FilledBox").exit_code == 0


def test_attributes_of_the_class_replace_the_defaults(bench):
    name = written(
        """
from flip.stopwatch import Stopwatch

class Mine(FilledBox):
    name = "mine-2.1"
    accepts = ("gaussian",)
    parameters = 12
    training_data = ("coco-train2017",)

    def __init__(self, precision, device="cpu"):
        self.stopwatch = Stopwatch()
        self.arguments = (precision, device)

    def predict(self, prompt):
        with self.stopwatch("post"):
            return prompt.gaussian.ellipse_mask(*self.shape[::-1])
"""
    )
    result = bench(f"{name}:Mine,ellipse", "--device", "cpu", "--precision", "bf16")
    assert result.exit_code == 0, result.output
    found = rows()
    assert found.loc["mine-2.1", "iou"].to_list() == found.loc["ellipse", "iou"].to_list()
    assert (found.loc["mine-2.1", "post_ms"] > 0).all()
    assert (found.loc["mine-2.1", "model_ms"] == 0).all()
    described = card("mine-2.1")
    assert described["parameters"] == 12
    assert described["training"]["datasets"] == ["coco-train2017"]
    assert described["settings"].items() >= {"precision": "bf16", "device": "cpu"}.items()


@pytest.mark.parametrize("bases", ["FilledBox, torch.nn.Module", "FilledBox"])
def test_the_weights_of_a_pytorch_module_are_counted_and_identified(bench, bases):
    name = written(
        f"""
import torch
from pathlib import Path

class Net({bases}):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        torch.nn.init.constant_(self.layer.weight, float(Path("weight.txt").read_text()))
        torch.nn.init.zeros_(self.layer.bias)
"""
    )
    Path("weight.txt").write_text("0.5")
    assert bench(f"{name}:Net", "--limit", 1).exit_code == 0
    assert card("Net")["parameters"] == 8
    assert set(rows()["weights_sha256"]) == {card("Net")["weights_sha256"]}
    assert bench(f"{name}:Net").exit_code == 0
    Path("weight.txt").write_text("0.6")
    result = bench(f"{name}:Net")
    assert result.exit_code == 1
    assert "Net.weights_sha256" in result.stderr


def test_a_class_may_take_several_prompts_per_call_and_describe_itself(bench):
    name = written(
        """
from baselines.segmenter import ModelCard

class Batch(FilledBox):
    def predict_many(self, prompts):
        return [self.predict(prompt) for prompt in prompts]

    def describe(self):
        return ModelCard("ignored", "family", 3, settings={"alpha": 2})
"""
    )
    model = loaded(f"{name}:Batch")
    model.set_image(np.zeros((9, 9, 3), np.uint8))
    assert len(model.predict_many([Prompt("box", box=(1, 1, 3, 3))] * 2)) == 2
    described = model.describe()
    assert (described.name, described.family, described.parameters) == ("Batch", "family", 3)
    assert described.settings.keys() == {"alpha", "code_sha256"}


def test_a_file_may_import_its_neighbours_and_have_a_model_record(bench):
    Path("neighbour.py").write_text(BASIS)
    Path("row.py").write_text(
        """
from dataclasses import replace
from baselines.trivial import BOX, BoxFill
from neighbour import FilledBox

ROW = replace(BOX, name="row")
"""
    )
    result = bench("row.py:ROW,row.py:FilledBox,box")
    assert result.exit_code == 0, result.output
    assert set(card("row")["settings"]) == {"code_sha256"}
    assert card("row")["training"]["complete"]


def test_a_class_has_crops(bench):
    Path("a@b").mkdir()
    assert bench(f"{written('', 'a@b/my_model.py')}:FilledBox@crop=3,{FILE}:FilledBox@crop").exit_code == 0
    assert set(rows().index) == {"FilledBox@crop=3", "FilledBox@crop"}
    assert card("FilledBox@crop")["settings"]["crop"] == 2


def test_a_model_is_found_again_in_another_process(bench):
    for name in (f"{written('')}:FilledBox@crop=3", "sam-b@crop", "box"):
        (model,) = find_models([name])
        again = pickle.loads(pickle.dumps(model))
        assert (again.name, again.prompts, again.address) == (model.name, model.prompts, model.address)


def test_a_class_of_unknown_size_has_one_process(bench):
    (unknown,) = find_models([f"{written('')}:FilledBox"])
    assert default_workers([unknown, MODELS["box"]], "cpu", 10_000) == 1


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        ("", "absent.py:FilledBox", "absent.py cannot be read (No such file or directory)"),
        ("", "absent:FilledBox", "there is no Python module absent; install it, or write its file: absent.py:CLASS"),
        ("", "./data:FilledBox", "./data is not a Python file; write FILE.py:CLASS"),
        ("", "my_model.py", "my_model.py names no class; write FILE.py:CLASS"),
        ("", "my_model.py:", "my_model.py: names no class"),
        ("", ":FilledBox", ":FilledBox names no class"),
        ("", "my_model.py:Box", "my_model.py has no class Box; it has FilledBox"),
        ("", "my_model.py:np", "my_model.py:np is an object of type module, not a class"),
        ("", "json:Box", "json has no class Box; it has no class with set_image and predict"),
        ("", "my_model.py:FilledBox@wide", "FilledBox@wide is no variant of FilledBox"),
        ("def", "my_model.py:FilledBox", "my_model.py cannot be run: SyntaxError: "),
        ("1 / 0", "my_model.py:FilledBox", "my_model.py cannot be run: ZeroDivisionError: division by zero (line 20)"),
        ("import nothing_here", "my_model.py:FilledBox", "ModuleNotFoundError: No module named 'nothing_here'"),
        ("raise SystemExit(0)", "my_model.py:FilledBox", "my_model.py cannot be run: SystemExit: 0"),
        ("\0", "my_model.py:FilledBox", "my_model.py cannot be run: "),
        ("class Mute:\n    set_image = 1", "my_model.py:Mute", "lacks set_image() and predict(); docs/adding.md"),
        ("class box(FilledBox): pass", "my_model.py:box", "is called box, as a model of `bench models` is"),
        ("class A(FilledBox): name = 'a,b'", "my_model.py:A", "has the name 'a,b'; a name has letters"),
        ("class A(FilledBox): training_data = 3", "my_model.py:A", "training_data is 3, not a tuple"),
        ("class A(FilledBox): accepts = ['box']", "my_model.py:A", "A.accepts is ['box'], not a tuple of prompt kinds"),
        ("class A(FilledBox): stopwatch = 3", "my_model.py:A", "A.stopwatch is of type int"),
        ("class A(FilledBox):\n    def describe(self): return 3", "my_model.py:A", "A.describe() returned an object"),
        (
            "class A(FilledBox):\n    def __init__(self, size): pass",
            "my_model.py:A",
            "A cannot be loaded: TypeError: A.__init__() missing 1 required positional argument: 'size'",
        ),
        ("class A(FilledBox):\n    def __init__(self): exit()", "my_model.py:A", "A cannot be loaded: SystemExit"),
        (
            "class A(FilledBox):\n    def predict(self, p): return 3",
            "my_model.py:A",
            "A.predict returned an object",
        ),
        ("class A(FilledBox):\n    def predict(self): pass", "my_model.py:A", "all 3 rows of A are errors: TypeError"),
        ("class A(FilledBox):\n    def predict_many(self, p): return 3", "my_model.py:A@wide", "A@wide is no variant"),
    ],
)
def test_the_error_of_a_wrong_class_is_one_sentence(bench, code, name, sentence):
    written(code)
    result = bench(name)
    assert result.exit_code == 1
    (error,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert sentence in error
    assert "Traceback" not in result.output


def test_two_classes_of_one_name_are_refused(bench):
    written("")
    with pytest.raises(UnknownModel, match=r"are both called FilledBox; give one of the classes another name"):
        find_models([f"{FILE}:FilledBox", "my_model.py:FilledBox"])
    assert len(find_models([f"{FILE}:FilledBox", f"{FILE}:FilledBox"])) == 1


def test_a_class_that_needs_a_missing_gpu_is_unavailable(bench, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    written("class A(FilledBox):\n    def __init__(self, device): pass")
    with pytest.raises(ModelUnavailable, match="detects no CUDA"):
        loaded("my_model.py:A", device="cuda")
