"""The order of questions to the models of `bench serve`, and its cache."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import numpy as np
import pytest

from baselines.model import Model
from baselines.segmenter import ModelCard, Options
from baselines.trivial import BoxFill
from bench.serve.cache import Cache
from bench.serve.drawn import Drawn
from bench.serve.models import Overtaken, Prediction, Question, Worker


class Slow(BoxFill):
    """A box that waits for `go` before it answers, and counts its encodings."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.go = threading.Event(), threading.Event()
        self.encoded: list[bytes] = []
        self.running = 0
        self._kept = (0, 0)

    @property
    def encoding(self) -> object:
        return self._size

    @encoding.setter
    def encoding(self, encoding) -> None:
        self._size = encoding

    def set_image(self, image) -> None:
        self.encoded.append(image.tobytes()[:1])
        super().set_image(image)

    def predict(self, prompt):
        self.running += 1
        assert self.running == 1
        self.started.set()
        assert self.go.wait(10)
        self.running -= 1
        return super().predict(prompt)

    def describe(self) -> ModelCard:
        return ModelCard("slow", "test", None)


def worker_of(segmenter: object) -> Worker:
    def load(files, options):
        return segmenter

    return Worker(Model("slow", "test", None, ("box",), "none", load), (), Options("cpu"))


def question(page: str = "a", key: int = 0, right: float = 5) -> Question:
    pixels = np.full((10, 10, 3), key, np.uint8)
    return Question(page, key, pixels, Drawn(kind="box", box=(0, 0, right, 5)))


def area(answer: Future[Prediction]) -> int:
    return answer.result(10).mask.area


def test_the_newest_question_of_a_page_overtakes_its_waiting_ones() -> None:
    slow = Slow()
    worker = worker_of(slow)
    running = worker.ask(question(right=1))
    assert slow.started.wait(10)
    waiting, newest = worker.ask(question(right=2)), worker.ask(question(right=3))
    other = worker.ask(question("b", right=4))
    with pytest.raises(Overtaken):
        waiting.result(10)
    slow.go.set()
    assert [area(each) for each in (running, newest, other)] == [5, 15, 20]


def test_a_question_that_is_overtaken_while_its_picture_is_encoded_is_not_predicted() -> None:
    slow = Slow()
    slow.go.set()
    encoding, go_on = threading.Event(), threading.Event()
    plain = slow.set_image

    def set_image(image) -> None:
        encoding.set()
        assert go_on.wait(10)
        plain(image)

    slow.set_image = set_image  # type: ignore[method-assign]
    worker = worker_of(slow)
    first = worker.ask(question(right=1))
    assert encoding.wait(10)
    second = worker.ask(question(right=2))
    go_on.set()
    with pytest.raises(Overtaken):
        first.result(10)
    assert area(second) == 10
    assert len(slow.encoded) == 1


def test_a_picture_is_encoded_once_while_it_is_kept() -> None:
    slow = Slow()
    slow.go.set()
    worker = worker_of(slow)
    for key in (1, 1, 2, 1, 2):
        area(worker.ask(question(key=key)))
    assert slow.encoded == [b"\1", b"\2"]
    for key in range(3, 12):
        area(worker.ask(question(key=key)))
    area(worker.ask(question(key=1)))
    assert slow.encoded.count(b"\1") == 2  # more than ENCODINGS pictures lie between


def test_an_error_of_a_model_is_the_answer_to_one_question_only() -> None:
    class Broken(BoxFill):
        def predict(self, prompt):
            if prompt.box[2] == 1:
                raise RuntimeError("CUDA error\nat 0x1234")
            return super().predict(prompt)

    worker = worker_of(Broken())
    with pytest.raises(RuntimeError, match="CUDA error at 0x1234"):
        worker.ask(question(right=1)).result(10)
    assert area(worker.ask(question(right=2))) == 10


def test_a_model_that_cannot_be_loaded_says_why() -> None:
    def load(files, options):
        raise ImportError("No module named 'nothing'")

    worker = Worker(Model("slow", "test", None, ("box",), "none", load, extra="onnx"), (), Options("cpu"))
    with pytest.raises(RuntimeError, match=r"No module named 'nothing'; pip install 'objascale-suite\[onnx\]'"):
        worker.ask(question()).result(10)
    assert worker.state == "failed"


def test_a_cache_keeps_what_was_used_last_within_its_limit() -> None:
    cache: Cache[int] = Cache(10, lambda value: value)
    made: list[int] = []

    def get(value: int) -> int:
        return cache.get(value, lambda: made.append(value) or value)

    for value in (4, 5, 4, 6, 4, 5):
        assert get(value) == value
    assert made == [4, 5, 6, 5]
    assert get(100) == 100
    assert get(100) == 100
    assert made[-1] == 100
    assert len(made) == 5


def test_threads_that_ask_for_the_same_make_it_once() -> None:
    cache: Cache[int] = Cache(10)
    made: list[int] = []

    def make() -> int:
        time.sleep(0.05)
        made.append(1)
        return 7

    threads = [threading.Thread(target=lambda: cache.get("key", make)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_an_error_is_not_kept() -> None:
    cache: Cache[int] = Cache(10)

    def fail() -> int:
        raise ValueError("no")

    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            cache.get("key", fail)
    assert cache.get("key", lambda: 3) == 3
