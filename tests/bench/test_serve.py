"""The answers of `bench serve`: pictures, tiles, changes, predictions, and the order of questions."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import Future

import cv2
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from baselines.model import Model
from baselines.segmenter import ModelCard, Options
from baselines.trivial import BoxFill
from bench.prompts import PromptError
from bench.serve import pictures as shelf
from bench.serve.app import BODY_LIMITS, Service
from bench.serve.cache import Cache
from bench.serve.changes import Changes
from bench.serve.drawn import Drawn
from bench.serve.models import Overtaken, Prediction, Question, Worker
from bench.serve.pictures import PictureRefused, Pictures
from bench.serve.tiles import TILE_SIDE, NoTile, Pyramid
from flip.gaussian import Gaussian
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask
from tests.bench.serving import client, picture, png, service

BOX = {"kind": "box", "box": [36, 20, 60, 44]}


@pytest.fixture(scope="module")
def served() -> Service:
    return service(content=picture())


def ask(served: Service, model: str = "box", **changed: object) -> dict:
    question = {"page": "test", "model": model, "picture": served.first, "drawn": BOX, **changed}
    return client(served).post("/api/predict", json=question).json()


# ---- predictions


def test_each_model_answers_with_its_mask(served: Service) -> None:
    answer = ask(served)
    assert (answer["area"], answer["box"], answer["prompt"]) == (24 * 24, [36, 20, 60, 44], "box")
    assert answer["path"] == "M0 0v24h24v-24z"
    assert RegionMask.from_rle(answer["rle"]).box == (36, 20, 60, 44)
    assert answer["ms"] >= 0
    assert answer["iou"] is None
    disc = ask(served, "grabcut")
    assert disc["area"] == pytest.approx(np.pi * 12**2, rel=0.1)
    ellipse = ask(served, "ellipse")
    assert ellipse["prompt"] == "gaussian"
    assert ellipse["area"] == pytest.approx(np.pi * 12**2, rel=0.05)


def test_the_line_of_python_gives_the_same_mask(served: Service, tmp_path, monkeypatch) -> None:
    (tmp_path / "disc.png").write_bytes(picture())
    monkeypatch.chdir(tmp_path)
    for model, changes in (("ellipse", {}), ("grabcut", {"noise": 1.0, "shrink": 1.5})):
        answer = ask(served, model, changes=changes)
        names: dict = {}
        exec(answer["python"], names)
        assert names["mask"].rle() == answer["rle"]


def test_iou_compares_with_the_true_object(discs) -> None:
    served = service(open_dataset(discs(2)), ["box", "ellipse"])
    about = client(served).get("/api/pictures/1").json()
    (truth,) = about["objects"]
    assert truth["category"] == "disc"
    whole = {"kind": "box", "box": [0, 0, 96, 96]}
    assert ask(served, drawn=whole, picture="1", truth=0)["iou"] == pytest.approx(truth["area"] / 96**2, abs=1e-4)
    exact = {"kind": "ellipse", "ellipse": truth["ellipse"]}
    assert ask(served, "ellipse", drawn=exact, picture="1", truth=0)["iou"] > 0.95
    assert ask(served, drawn=whole, picture="1", truth=7)["iou"] is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"model": "sam-z"}, "no model here is called 'sam-z'"),
        ({"picture": "99"}, "is not here"),
        ({"picture": "../../etc/passwd"}, "is not here"),
        ({"drawn": {"kind": "box", "box": [5, 5, 5, 9]}}, "has no area"),
        ({"drawn": {"kind": "box", "box": [500, 500, 600, 600]}}, "no area inside"),
        ({"drawn": {"kind": "box"}}, "the box has no numbers"),
        ({"drawn": {"kind": "ellipse", "ellipse": [1, 1, 0, 2, 0]}}, "positive semi-axes"),
        ({"drawn": {"kind": "clicks", "clicks": [[4, 4, True]]}}, "takes no clicks; draw a box"),
        ({"drawn": {"kind": "clicks", "clicks": []}}, "drawn.clicks is empty"),
        ({"drawn": {"kind": "clicks", "clicks": [[1, 1, True]] * 51}}, "at most 50 items"),
        ({"drawn": {"kind": "box", "box": [0, 0, 1e300, 1]}}, "less than or equal to 1000000"),
        ({"drawn": {"kind": "star"}}, "drawn.kind"),
        ({"changes": {"noise": 99}}, "changes.noise should be less than or equal to 5"),
        ({"changes": {"shrink": 0}}, "changes.shrink"),
        ({"changes": {"glitter": 1}}, "changes.glitter is not a known setting"),
        ({"page": "x" * 65}, "page"),
        ({"path": "/etc/passwd"}, "path is not a known setting"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_sentence(served: Service, changed: dict, sentence: str) -> None:
    error = ask(served, **changed)["error"]
    assert sentence in error
    assert "\n" not in error


def test_json_that_is_damaged_is_refused(served: Service) -> None:
    for content in (b"", b"{", b"[" * 100_000, b"\xff", b"NaN"):
        answer = client(served).post("/api/predict", content=content)
        assert answer.status_code == 400
        assert answer.json()["error"]


@pytest.mark.parametrize(
    ("drawn", "accepts", "expected"),
    [
        (Drawn(kind="box", box=(1, 2, 5, 8)), ("gaussian", "box"), ("box", (1.0, 2.0, 5.0, 8.0))),
        (Drawn(kind="box", box=(-9, 2, 5, 8)), ("box",), ("box", (0.0, 2.0, 5.0, 8.0))),
        (Drawn(kind="box", box=(1, 2, 5, 8)), ("gaussian",), ("gaussian", Gaussian.from_box((1, 2, 5, 8)))),
        (Drawn(kind="box", box=(1, 2, 5, 8)), ("clicks", "point"), ("point", (3.0, 5.0))),
        (Drawn(kind="ellipse", ellipse=(4, 5, 2, 1, 0)), ("box",), ("box", (2.0, 4.0, 6.0, 6.0))),
        (Drawn(kind="ellipse", ellipse=(4, 5, 2, 1, 0)), ("clicks",), ("clicks", (4.0, 5.0, True))),
        (Drawn(kind="clicks", clicks=((4, 5, True),)), ("box", "point"), ("point", (4.0, 5.0))),
    ],
)
def test_what_is_drawn_becomes_a_prompt_that_the_model_takes(drawn: Drawn, accepts: tuple, expected: tuple) -> None:
    prompt = drawn.prompt(accepts, (10, 10))
    kind, value = expected
    assert prompt.kind == kind
    given = getattr(prompt, kind)
    assert ((given[0].x, given[0].y, given[0].positive) if kind == "clicks" else given) == value


def test_two_clicks_need_a_model_that_takes_clicks() -> None:
    with pytest.raises(PromptError, match="one point on the object"):
        Drawn(kind="clicks", clicks=((4, 5, True), (6, 6, False))).prompt(("box", "point"), (10, 10))


# ---- pictures


def test_a_picture_of_the_user_is_taken_and_described() -> None:
    asks = client(service(models=["box"]))
    answer = asks.post("/api/pictures", content=picture(), headers={"x-name": "my%20disc%C3%A9.png"}).json()
    assert (answer["name"], answer["width"], answer["height"], answer["objects"]) == ("my discé.png", 96, 64, [])
    assert asks.get(f"/api/pictures/{answer['id']}").json() == answer
    again = asks.post("/api/pictures", content=picture()).json()
    assert again["id"] == answer["id"]


def bomb() -> bytes:
    """Return a small PNG that claims 60000×60000 pixels."""
    content = bytearray(png(np.zeros((2, 2, 3), np.uint8)))
    content[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "no picture"),
        (b"hello", "no picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no picture"),
        (picture()[:200], "damaged|no picture"),
        (bomb(), "has .*pixels; the limit is 134,217,728"),
    ],
)
def test_broken_pictures_and_bombs_are_a_message(content: bytes, sentence: str) -> None:
    asks = client(service(models=["box"]))
    answer = asks.post("/api/pictures", content=content, headers={"x-name": "x.png"})
    assert answer.status_code == 400
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(answer.json()["error"])
    assert asks.get("/api/state").status_code == 200


def test_a_bomb_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(PictureRefused):
        Pictures().add(bomb())


def test_a_turned_photograph_is_shown_upright() -> None:
    image = Image.fromarray(np.zeros((20, 30, 3), np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    content = io.BytesIO()
    image.save(content, "JPEG", exif=exif)
    pictures = Pictures()
    assert pictures.get(pictures.add(content.getvalue())).pixels.shape == (30, 20, 3)


def test_only_a_bounded_number_of_pictures_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shelf, "ENCODED_BYTES", int(2.2 * len(picture())))
    pictures = Pictures()
    first, *others = [pictures.add(picture(radius=radius)) for radius in (5, 6, 7)]
    for _ in range(3):
        pictures._decoded = Cache(1)
        for each in others:
            pictures.get(each)
    with pytest.raises(PictureRefused, match="drop its file"):
        pictures.get(first)


@pytest.mark.parametrize(
    "identity", ["2", "-1", "1e0", "٣", "%2e%2e", "images", "999999999999999999999", "0000000000000000", "x" * 5000]
)
def test_a_picture_is_named_by_its_number_only(discs, identity: str) -> None:
    asks = client(service(open_dataset(discs(2)), ["box"]))
    for path in (f"/api/pictures/{identity}", f"/api/thumbnails/{identity}", f"/api/tiles/{identity}/0/0/0"):
        assert asks.get(path).status_code in (400, 404)


@pytest.mark.parametrize("path", ["../app.py", "..%2fapp.py", "%2e%2e/%2e%2e/app.py", "/etc/passwd", "//etc/passwd"])
def test_only_files_of_the_page_are_static(path: str) -> None:
    assert client(service(models=["box"])).get(f"/static/{path}").status_code == 404


def test_the_data_set_lists_its_pictures(discs) -> None:
    folder = discs(3)
    asks = client(service(open_dataset(folder), ["box"]))
    assert asks.get("/api/state").json()["dataset"] == {"name": "data", "pictures": 3}
    listed = asks.get("/api/samples?first=1&count=5").json()
    assert [each["id"] for each in listed] == ["1", "2"]
    thumbnail = asks.get("/api/thumbnails/1")
    assert Image.open(io.BytesIO(thumbnail.content)).size == (96, 96)
    assert asks.get("/api/samples?first=-1&count=5").status_code == 400
    (folder / "images/000/000002.png").write_bytes(b"broken")
    answer = asks.get("/api/pictures/2")
    assert answer.status_code == 400
    assert "000002.png" in answer.json()["error"]


# ---- tiles


def test_tiles_are_the_picture() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (700, 1200, 3), np.uint8)
    pyramid = Pyramid(pixels)
    assert pyramid.levels == 3
    content, media = pyramid.tile(0, 2, 1)
    assert media == "image/png"
    part = np.array(Image.open(io.BytesIO(content)))
    assert (part == pixels[TILE_SIDE:, 2 * TILE_SIDE :]).all()
    small = Image.open(io.BytesIO(pyramid.tile(2, 0, 0)[0]))
    assert small.size == (300, 175)
    for place in ((0, 3, 0), (0, 0, 2), (3, 0, 0), (2, 1, 0)):
        with pytest.raises(NoTile):
            pyramid.tile(*place)


def test_a_picture_of_8192_pixels_is_sent_in_small_parts() -> None:
    served = service(models=["box"])
    pixels = np.zeros((8192, 8192, 3), np.uint8)
    pixels[4000:4020, 5000:5030] = (220, 30, 30)
    content = png(pixels)
    assert len(content) < BODY_LIMITS["/api/pictures"]
    asks = client(served)
    about = asks.post("/api/pictures", content=content).json()
    assert (about["width"], about["levels"]) == (8192, 5)
    tile = asks.get(f"/api/tiles/{about['id']}/0/9/7")
    part = np.array(Image.open(io.BytesIO(tile.content)))
    assert (part == pixels[7 * 512 : 8 * 512, 9 * 512 : 10 * 512]).all()
    overview = Image.open(io.BytesIO(asks.get(f"/api/tiles/{about['id']}/4/0/0").content))
    assert overview.size == (512, 512)
    assert asks.get(f"/api/tiles/{about['id']}/0/16/0").status_code == 404


# ---- changes


def test_without_changes_the_picture_is_the_same() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    assert Changes().apply(pixels) is pixels


def test_no_value_changes_in_the_round_trip_through_light() -> None:
    values = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3)
    from bench.serve.changes import _developed

    assert (_developed(values, Changes()._effects(256, 1)) == values).all()


@pytest.mark.parametrize("name", ["sharpness", "motion", "noise", "contrast", "exposure", "compression"])
def test_each_dial_changes_the_picture_and_more_so_when_turned_further(name: str) -> None:
    pixels = np.array(Image.open(io.BytesIO(picture(1200, 300, 60))))

    def change(strength: float) -> float:
        return float(np.abs(Changes(**{name: strength}).apply(pixels).astype(float) - pixels).mean())

    assert 0 < change(2) < change(5)


def test_bands_of_rows_leave_no_seam() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (600, 900, 3), np.uint8)
    changes = Changes(sharpness=5, motion=5)
    whole = changes.apply(pixels)
    from bench.serve import changes as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_PER_BAND", 600)
        assert (changes.apply(pixels) == whole).all()


def test_shrinking_gives_the_object_a_smaller_share_of_the_same_frame() -> None:
    pixels = np.array(Image.open(io.BytesIO(picture(200, 100, 20))))
    disc = RegionMask.from_full((pixels[..., 0] == 220).astype(np.uint8))
    changes = Changes(shrink=4)
    small, mask = changes.apply(pixels), changes.apply_to_mask(disc)
    assert small.shape == pixels.shape
    assert mask.area == pytest.approx(disc.area / 16, rel=0.1)
    assert (mask.width, mask.height) == (200, 100)
    assert np.allclose(mask.mean(), disc.mean(), atol=1)
    assert (small[:30] == small[0, 0]).all()
    assert small[mask.full()].mean(0)[0] > 180


def test_changes_are_bounded() -> None:
    for wrong in ({"noise": -1}, {"noise": float("nan")}, {"shrink": 1e9}, {"exposure": -6}):
        with pytest.raises(ValidationError):
            Changes(**wrong)


# ---- saving


def test_a_mask_is_saved_as_png_with_the_size_of_the_picture(served: Service) -> None:
    answer = client(served).post("/api/png", json=ask(served)["rle"])
    assert answer.headers["content-type"] == "image/png"
    saved = np.array(Image.open(io.BytesIO(answer.content)))
    assert saved.shape == (64, 96)
    assert (saved[20:44, 36:60] == 255).all()
    assert saved.sum() == 255 * 24 * 24


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [1 << 20, 1 << 20], "counts": "0"},
        {"size": [4, 4], "counts": "zz zz"},
        {"size": [4, 4], "counts": "5"},
        {"size": [0, 4], "counts": ""},
        {"size": [4, 4]},
    ],
)
def test_a_mask_that_is_none_is_refused(served: Service, rle: dict) -> None:
    answer = client(served).post("/api/png", json=rle)
    assert answer.status_code == 400
    assert answer.json()["error"]


# ---- order of questions


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
    return Question(page, key, lambda: pixels, Drawn(kind="box", box=(0, 0, right, 5)))


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


# ---- cache


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
