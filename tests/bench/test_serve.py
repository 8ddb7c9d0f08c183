"""The answers of `bench serve`: predictions, pictures, and what is saved."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from bench.prompts import PromptError
from bench.serve import pictures as shelf
from bench.serve.app import Service
from bench.serve.cache import Cache
from bench.serve.drawn import Drawn
from bench.serve.pictures import PictureRefused, Pictures
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
    assert answer["ms"] > 0
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
