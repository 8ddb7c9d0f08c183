"""`evaluate`, `load_dataset` and `load_model`: the harness from Python."""

from __future__ import annotations

import linecache
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.model import UnknownModel
from baselines.registry import MODELS
from baselines.segmenter import ModelUnavailable
from baselines.user_object import describe_object
from bench import evaluate, load_dataset, load_model
from bench.run_file import ResultsError
from bench.selection import SelectionError
from flip.weights import WeightsMissing
from objascale.dataset import DatasetError
from objascale.terminal import UsageError
from objascale.torch_dataset import ObjectDataset
from reports.results import read_results
from tests.bench.filled_box import FilledBox
from tests.bench_runs import TIMES, bench, lines, table

FILE = Path(__file__).with_name("filled_box.py")


class Grown(FilledBox):
    """Fills the prompted box and a margin."""

    def __init__(self, margin=1, note=None):
        self.margin, self.calls = margin, 0
        self.secret = note

    def predict(self, prompt):
        self.calls += 1
        x0, y0, x1, y1 = map(round, prompt.box)
        mask = np.zeros(self.shape, bool)
        mask[max(y0 - self.margin, 0) : y1 + self.margin, max(x0 - self.margin, 0) : x1 + self.margin] = True
        return mask


class Net(Grown):
    """A model with a network."""

    name = "net"

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)


def untimed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop(columns=TIMES)


def test_the_rows_equal_those_of_bench_run(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    discs(4)
    done = bench("run", "--models", "grabcut,ellipse,box", "--data", "data", "--prompt", "box", "--noise", "0,0.1")
    assert done.exit_code == 0, done.output
    frame = evaluate(["grabcut", "ellipse", "box"], "data", "box", noise=[0, 0.1])
    assert list(frame.columns) == list(pd.read_parquet("results/results.parquet").columns)
    pd.testing.assert_frame_equal(untimed(frame), table(Path("results")))
    assert (frame.loc[frame["model"] == "grabcut", "model_ms"] > 0).all()
    assert frame.attrs["run"]["command"] == ["bench.evaluate"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "results"], "no file is left without out"


def test_a_part_measured_by_two_processes_has_the_rows_of_bench_run(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    discs(4)
    select = "area=30..100000"
    done = bench("run", "--models", "box", "--data", "data", "--select", select, "--limit", 3, "--workers", 1)
    assert done.exit_code == 0, done.output
    part = load_dataset("data", select=select, limit=3)
    assert [len(sample.objects()) for sample in part.samples] == [0, 1, 1]
    frame = evaluate("box", part, workers=2)
    pd.testing.assert_frame_equal(untimed(frame), table(Path("results")))
    again = pickle.loads(pickle.dumps(part))
    assert [sample.image_id for sample in again.samples] == [sample.image_id for sample in part.samples]
    assert [item["size"] > 30 for item in ObjectDataset(again)] == [True, True]


def test_the_folder_of_an_evaluation_is_continued_by_both_doors(discs, tmp_path):
    data, out = discs(3), tmp_path / "out"
    assert len(evaluate("box", load_dataset(data, limit=1), out=out)) == 1
    assert len(evaluate(["box", Grown()], data, out=out)) == 6
    assert lines(out) == 6, "the row that existed is not measured again"
    assert bench("run", "--models", "box,ellipse", "--data", data, "--out", out).exit_code == 0
    frame = evaluate(["ellipse"], load_dataset(data, limit=1), out=out)
    assert lines(out) == 9
    assert frame["model"].value_counts().to_dict() == {"box": 3, "Grown": 3, "ellipse": 3}
    pd.testing.assert_frame_equal(untimed(frame), table(out))
    assert len(read_results([out]).rows) == 9


def test_an_object_has_the_rows_of_its_class_in_a_file(discs):
    data = discs(3)
    frame = evaluate([f"{FILE}:FilledBox", Grown(margin=0)], data).set_index("model")
    columns = ["object_id", "iou", "predicted_rle", "prompt", "seen_in_training", "error"]
    assert frame.loc["FilledBox", columns].to_numpy().tolist() == frame.loc["Grown", columns].to_numpy().tolist()
    assert frame.attrs["run"]["models"][1]["settings"].keys() == {"margin", "code_sha256"}


def test_a_loaded_model_has_the_rows_of_its_name(discs):
    data = discs(2)
    by_name = evaluate(["flip-s", "ellipse"], data)
    pd.testing.assert_frame_equal(untimed(evaluate([load_model("flip-s"), "ellipse"], data)), untimed(by_name))
    assert set(by_name["seen_in_training"]) > {"no"}
    assert len(evaluate([MODELS["ellipse"]], data)) == 2


def test_other_arguments_or_weights_of_an_object_are_another_model(discs, tmp_path):
    data, out = discs(1), tmp_path / "out"
    model = Grown(margin=2)
    evaluate(model, data, out=out)
    assert model.calls == 1
    evaluate(model, data, out=out)
    assert model.calls == 1, "an attribute that is no argument does not identify an object"
    with pytest.raises(ResultsError, match=r"with other settings \(Grown\.settings\.margin: 2 → 3\)"):
        evaluate(Grown(margin=3), data, out=out)
    net = Net()
    evaluate(net, data, out=out)
    with torch.no_grad():
        net.layer.bias += 1
    with pytest.raises(ResultsError, match=r"net\.weights_sha256"):
        evaluate(net, data, out=out)


def described(body: str, monkeypatch, cell: str) -> str | None:
    """Return the code_sha256 of a class that a notebook's cell defines."""
    source = f"class Mine:\n    {body}\n    def set_image(self, image): pass\n    def predict(self, prompt): pass\n"
    monkeypatch.setitem(linecache.cache, cell, (len(source), None, source.splitlines(True), cell))
    space: dict = {"__name__": "a_notebook"}
    exec(compile(source, cell, "exec"), space)
    return describe_object(space["Mine"]()).load((), None).describe().settings.get("code_sha256")  # type: ignore[arg-type]


def test_the_code_of_a_class_in_a_notebook_is_known_by_its_functions_and_constants(monkeypatch):
    digests = [described(body, monkeypatch, f"<cell {i}>") for i, body in enumerate(["a = 1", "a = 1", "a = 2"])]
    digests.append(described("def other(self): return 1", monkeypatch, "<cell 3>"))
    digests.append(described("def other(self): return 2", monkeypatch, "<cell 4>"))
    assert None not in digests
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_two_models_of_one_name_are_refused_and_the_same_one_counts_once(discs):
    data, model = discs(1), Grown()
    assert len(evaluate([model, model, "box", "box"], data)) == 2
    for pair in ([Grown(), Grown()], [model, f"{FILE}:FilledBox", type("FilledBox", (Grown,), {})()]):
        with pytest.raises(UsageError, match="two models are called"):
            evaluate(pair, data)


def test_a_model_that_fails_on_every_object_is_a_warning_and_has_rows(discs):
    class Broken(FilledBox):
        def predict(self, prompt):
            raise RuntimeError("no idea")

    with pytest.warns(UserWarning, match="all 2 rows of Broken are errors: RuntimeError: no idea"):
        frame = evaluate(Broken(), discs(2))
    assert frame["iou"].to_list() == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"models": "elipse"}, UnknownModel, "no model is called 'elipse'; did you mean ellipse?"),
        ({"models": []}, UsageError, "no model is given"),
        ({"models": [3]}, UnknownModel, r"an object of type int lacks set_image\(\) and predict\(\)"),
        ({"models": Grown}, UnknownModel, r"Grown is a class; give an object, such as Grown\(\)"),
        ({"models": "box,sam-h", "offline": True}, WeightsMissing, "sam-h"),
        ({"prompt": "clicks"}, SelectionError, "box: no model takes clicks"),
        ({"prompt": "detector:boxes.json"}, SelectionError, r"boxes\.json"),
        ({"prompt": "worst", "noise": 0.1}, SelectionError, "displaces prompts that are made from the true mask"),
        ({"ignore_band": True}, DatasetError, "no object of .* has an uncertain band"),
        ({"models": Grown(), "workers": 2}, UsageError, "workers is 2; give 1 for models that are objects"),
        ({"workers": 0}, UsageError, "workers is 0; give a number from 1"),
        ({"prompt": "boxes"}, UsageError, "prompt is 'boxes'; did you mean 'box'?"),
        ({"prompt": 3}, UsageError, "prompt is 3; give one of 'matched', 'box'"),
        ({"device": "gpu"}, UsageError, "device is 'gpu'; "),
        ({"precision": "half"}, UsageError, "precision is 'half'; give one of 'fp32', 'bf16', 'fp16'"),
        ({"exif": "turned"}, UsageError, "exif is 'turned'"),
        ({"noise": -1}, UsageError, r"noise is -1; give a number from 0 to 2\.0"),
        ({"noise": [0, "a"]}, UsageError, r"noise is \[0, 'a'\]"),
        ({"tokens": 1.5}, UsageError, r"tokens is 1\.5; give a whole number"),
        ({"seed": -1}, UsageError, "seed is -1"),
        ({"data": "nowhere"}, DatasetError, "there is no data set nowhere"),
        ({"data": 3}, UsageError, "not an object of type int"),
        ({"out": "results"}, ResultsError, "cannot write to results"),
    ],
)
def test_a_wrong_argument_is_one_sentence(arguments, error, sentence, discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    (tmp_path / "results").write_text("a file")
    with pytest.raises(error, match=sentence):
        evaluate(**{"models": "box", "data": discs(1), **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"select": "size=3"}, SelectionError, "cannot select by 'size=3'"),
        ({"select": ["category=cup"]}, SelectionError, "no category of .* is called 'cup'"),
        ({"limit": 0}, UsageError, "limit is 0; give a number of images from 1"),
        ({"format": "coc"}, DatasetError, "no data set format is called coc"),
        ({"images": "nowhere"}, DatasetError, "there is no folder of images nowhere"),
    ],
)
def test_a_wrong_part_of_a_data_set_is_one_sentence(arguments, error, sentence, discs):
    with pytest.raises(error, match=sentence):
        load_dataset(discs(2), **arguments)


def test_a_part_without_objects_is_not_measured(discs):
    with pytest.raises(SelectionError, match=r"no object of .* is selected; change `select` or `limit`"):
        evaluate("box", load_dataset(discs(2), select="area=90000.."))


def test_a_model_that_cannot_run_here_is_refused_before_anything_is_measured(discs, tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ModelUnavailable, match="detects no CUDA"):
        evaluate(["box", "flip-s"], discs(1), device="cuda", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_progress_is_shown(discs, capsys, monkeypatch):
    monkeypatch.setattr("objascale.progress.SECONDS_BETWEEN_LINES", 0.0)
    evaluate("box", discs(2))
    assert "2 of 2 images" in capsys.readouterr().err
