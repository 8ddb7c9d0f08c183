from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from flip.best import MODELS_BEST_FIRST
from flip.cli import app
from flip.predictor import load_predictor
from flip.show import COLOURS
from flip.weights import WEIGHTS, WeightsFile, WeightsRecord


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = np.full((60, 80, 3), 40, np.uint8)
    image[20:40, 30:50] = (220, 60, 60)
    Image.fromarray(image).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


@pytest.mark.parametrize("command", ["predict", "export", "fetch"])
def test_help_has_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: flip {command}" in result.output


def test_predict_accepts_every_kind_of_prompt(picture: Path, weights: Path, tmp_path: Path) -> None:
    truth = np.zeros((60, 80), np.uint8)
    truth[20:40, 30:50] = 255
    Image.fromarray(truth).save(tmp_path / "truth.png")
    for prompt in (
        ("--box", "30,20,50,40"),
        ("--mask", tmp_path / "truth.png"),
        ("--point", "40,30,5"),
        ("--ellipse", "40,30,11,10,90"),
    ):
        result = run("predict", picture, *prompt, "--weights", weights, "--out", tmp_path / "out.png")
        assert result.exit_code == 0, result.output
        found = np.asarray(Image.open(tmp_path / "out.png"))
        assert found.shape == (60, 80)
        assert set(np.unique(found)) == {0, 255}
        assert (found & truth).astype(bool).sum() / (found | truth).astype(bool).sum() > 0.85


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("box", (25, 15, 90, 70)),  # extends beyond the image
        ("box", (-1e200, -1e200, 1e200, 1e200)),
        ("ellipse", (40, 30, 14, 7, 35)),
    ],
)
def test_the_command_and_the_predictor_give_the_same_mask(
    kind: str, numbers: tuple[float, ...], picture: Path, weights: Path, tmp_path: Path
) -> None:
    text = ",".join(map(str, numbers))
    result = run("predict", picture, f"--{kind}={text}", "--weights", weights, "--out", tmp_path / "out.png")
    assert result.exit_code == 0, result.output
    predictor = load_predictor("flip-tiny", weights)
    predictor.set_image(picture)
    mask = predictor.predict(**{kind: numbers})
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")) > 0, np.asarray(mask))


def test_show_draws_the_patches(picture: Path, weights: Path, tmp_path: Path) -> None:
    shown = tmp_path / "patches.png"
    box = ("--box", "30,20,50,40", "--weights", weights)
    assert run("predict", picture, *box, "--out", tmp_path / "out.png", "--show", shown).exit_code == 0
    pixels = np.asarray(Image.open(shown))
    assert max(pixels.shape) == 1024
    for size in (1, 2, 4):
        assert (pixels == COLOURS[size]).all(-1).any(), size


def test_export_writes_two_graphs(weights: Path, tmp_path: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    result = run("export", "flip-tiny", "--weights", weights, "--out", tmp_path / "onnx")
    assert result.exit_code == 0, result.output
    paths = sorted((tmp_path / "onnx").iterdir())
    assert [path.name for path in paths] == ["flip-tiny-encoder.onnx", "flip-tiny-predictor.onnx"]
    encoder, predictor = (ort.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in paths)
    sizes = (1, 2, 4, 8, 16)
    asked = [*(f"patches_p{p}" for p in sizes), *(f"coords_p{p}" for p in sizes), "position"]
    assert [one.name for one in encoder.get_inputs()] == asked
    assert [one.name for one in predictor.get_outputs()] == ["mask_logits"]


@pytest.mark.parametrize("part", ["encoder", "predictor"])
def test_exported_graphs_can_be_used_for_prediction(part: str, picture: Path, weights: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    folder, box = tmp_path / "onnx", ("--box", "30,20,50,40")
    assert run("export", "flip-tiny", "--weights", weights, "--out", folder).exit_code == 0
    masks = []
    for model in (folder / f"flip-tiny-{part}.onnx", weights / "flip-tiny.safetensors"):
        out = tmp_path / "out.png"
        result = run("predict", picture, *box, "--model", model, "--out", out)
        assert result.exit_code == 0, result.output
        masks.append(np.asarray(Image.open(out)))
    assert masks[0].any()
    assert np.array_equal(*masks)
    again = run("export", folder / f"flip-tiny-{part}.onnx", "--out", tmp_path / "again")
    assert again.exit_code == 0, again.output
    for other in (tmp_path / "again").iterdir():
        assert run("predict", picture, *box, "--model", other, "--out", tmp_path / "out.png").exit_code == 0
    (folder / "flip-tiny-predictor.onnx").unlink()
    complaint = complain("predict", picture, *box, "--model", folder / "flip-tiny-encoder.onnx", "--out", out)
    assert "put flip-tiny-predictor.onnx, the other half, beside it" in complaint


def test_help_names_every_kind_of_file() -> None:
    for command in ("predict", "export"):
        words = run(command, "--help").output.replace(",", " ").split()
        assert {".ckpt", ".onnx"} <= set(words)


def complain(*arguments: object, code: int = 1) -> str:
    result = run(*arguments)
    assert result.exit_code == code
    assert "Traceback" not in result.output
    if code == 1:
        assert result.output.startswith("error: ")
    return result.output


def test_errors_name_wrong_options(picture: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out.png")
    usage = complain("predict", picture, *out, code=2)
    assert all(option in usage for option in ("one of", "--box", "--point", "--ellipse", "--mask"))
    assert "one of" in complain("predict", picture, "--box", "1,2,3,4", "--point", "1,2,3", *out, code=2)
    for option, numbers, count in (
        ("--box", "1,2,3", 4),
        ("--point", "1,2", 3),
        ("--ellipse", "1,2,3,4,a", 5),
    ):
        assert f"give {count} numbers" in complain("predict", picture, option, numbers, *out, code=2)
    assert "SCALE is a quarter" in complain("predict", picture, "--point", "40,30", *out, code=2)
    jpeg = complain("predict", picture, "--box", "30,20,50,40", "--out", tmp_path / "mask.jpg")
    assert "the file is a PNG, so give a name that ends in .png" in jpeg


def test_a_photograph_is_segmented_with_the_weights_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photo = Image.effect_noise((120, 80), 32).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    photo.save("photo.jpg", exif=turned)
    result = run("predict", "photo.jpg", "--box", "20,30,60,90")
    assert result.exit_code == 0, result.output
    assert "of 80×120 pixels, by flip-s" in result.output
    with Image.open("mask.png") as mask:
        assert mask.size == (80, 120), "as viewers show the photograph"


def test_errors_name_wrong_input(picture: Path, weights: Path, tmp_path: Path) -> None:
    out, known = ("--out", tmp_path / "out.png"), ("--weights", weights)
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.zeros((60, 80), np.uint8)).save(tmp_path / "empty.png")
    Image.fromarray(np.ones((60, 81), np.uint8)).save(tmp_path / "other.png")
    box = ("--box", "30,20,50,40")
    assert "there is no picture" in complain("predict", tmp_path / "none.png", *box, *out, *known)
    assert "text.png" in complain("predict", tmp_path / "text.png", *box, *out, *known)
    assert "empty.png is empty" in complain("predict", picture, "--mask", tmp_path / "empty.png", *out, *known)
    assert "81×60" in complain("predict", picture, "--mask", tmp_path / "other.png", *out, *known)
    assert "error: --box 30,20,30,40: the box (30, 20, 30, 40) has no area" in complain(
        "predict", picture, "--box", "30,20,30,40", *out, *known
    )
    assert "no area" in complain("predict", picture, "--box", "50,20,30,40", *out, *known)
    assert "no area" in complain("predict", picture, "--box", "nan,20,30,40", *out, *known)
    assert "finite" in complain("predict", picture, "--box", "10,20,inf,40", *out, *known)
    assert "--point 40,30,-5: a point needs a positive scale" in complain(
        "predict", picture, "--point=40,30,-5", *out, *known
    )
    assert "positive semi-axes" in complain("predict", picture, "--ellipse", "40,30,0,5,0", *out, *known)
    assert "no patch fits" in complain("predict", picture, "--point=-200,30,5", *out, *known)
    assert "no patch fits" in complain("predict", picture, "--box", "900,900,910,910", *out, *known)
    assert "there is no folder" in complain("predict", picture, *box, "--out", tmp_path / "no" / "out.png", *known)
    nowhere = ("--show", tmp_path / "no" / "patches.png")
    assert "there is no folder" in complain("predict", picture, *box, *out, *nowhere, *known)
    assert "bench fetch flip-tiny" in complain("predict", picture, *box, *out, "--model", "flip-tiny")
    assert "did you mean flip-tiny" in complain("predict", picture, *box, *out, "--model", "flip-tini")
    assert "--device must be auto, cpu or cuda, not toaster" in complain(
        "predict", picture, *box, *out, *known, "--device", "toaster"
    )
    assert not (tmp_path / "out.png").exists()


def test_errors_of_export_are_clear(tmp_path: Path, weights: Path) -> None:
    out = ("--out", tmp_path / "onnx")
    assert "did you mean flip-tiny" in complain("export", "flip-tine", *out)
    assert "no weights file" in complain("export", tmp_path / "none.safetensors", *out)
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    assert "bad.onnx" in complain("export", tmp_path / "bad.onnx", *out)
    assert not (tmp_path / "onnx").exists()
    (tmp_path / "file").write_text("in the way")
    assert "file" in complain("export", "flip-tiny", "--weights", weights, "--out", tmp_path / "file")


def test_fetching_an_unknown_model_suggests_a_name() -> None:
    assert "did you mean flip-tiny" in complain("fetch", "flip-tiney")


def test_fetch_refuses_a_changed_file(loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = WeightsFile("flip-small.ckpt", f"{loopback.url}/s/download")
    monkeypatch.setitem(WEIGHTS, "flip-small", WeightsRecord("flip-small", (file,), "MIT", "here"))
    loopback.files["/s/download"] = b"PK\x03\x04 first"
    fetch = ("fetch", "flip-small", "--weights", ".")
    monkeypatch.chdir(tmp_path)
    fetched = run(*fetch)
    assert fetched.exit_code == 0, fetched.output
    assert "flip-small.ckpt" in fetched.output
    assert "MIT" in fetched.output
    (tmp_path / "flip-small.ckpt").write_bytes(b"another")
    refused = run(*fetch)
    assert refused.exit_code == 1
    assert "failed" in refused.stdout
    assert "error: flip-small.ckpt is not the file that was fetched first" in refused.stderr


def test_fetch_keeps_existing_files(weights: Path) -> None:
    result = run("fetch", "flip-tiny", "flip-s", "--weights", weights)
    assert result.exit_code == 0, result.output
    assert result.output.count("already there") == 2


def test_without_a_name_the_best_model_with_weights_predicts(picture: Path, weights: Path, tmp_path: Path) -> None:
    assert set(MODELS_BEST_FIRST) == set(WEIGHTS)
    box, out = ("--box", "30,20,50,40"), ("--out", tmp_path / "out.png")
    assert run("predict", picture, *box, *out).output.endswith("by flip-s\n")  # the weights of the package
    assert run("predict", picture, *box, *out, "--weights", weights).output.endswith("by flip-tiny\n")


def test_pictures_are_read_as_viewers_show_them(picture: Path, weights: Path, tmp_path: Path) -> None:
    """EXIF turns the image, 12 and 16 bits become 8, and a mask may be in the alpha channel or have 16 bits."""
    eight = Image.open(picture).convert("L")
    eight.save(tmp_path / "8.png")
    wide = np.asarray(eight).astype(np.uint16)
    Image.fromarray(wide << 8).save(tmp_path / "16.png")
    Image.fromarray(wide << 4).save(tmp_path / "12.png")
    cv2.imwrite(str(tmp_path / "colours12.png"), np.dstack([wide << 4] * 3))
    eight.save(tmp_path / "8.gif")  # OpenCV does not read it
    turned = eight.transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 270° to be upright
    turned.save(tmp_path / "turned.png", exif=exif)
    mask = np.zeros((eight.height, eight.width), np.uint8)
    mask[20:40, 30:60] = 1
    Image.fromarray(mask.astype(np.uint16)).save(tmp_path / "mask16.png")
    white = np.full_like(mask, 255)
    Image.fromarray(np.dstack((white, white, white, 255 * mask))).save(tmp_path / "alpha.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = []
    images = ("8.png", "16.png", "12.png", "colours12.png", "8.gif", "turned.png", "png.jpg")
    shutil.copy(tmp_path / "8.png", tmp_path / "png.jpg")  # the content wins over the suffix
    shutil.copy(tmp_path / "mask.png", tmp_path / "mask.jpg")
    masks = ("mask16.png", "alpha.png", "mask.jpg")
    for image, prompt in (*((image, "mask.png") for image in images), *(("8.png", name) for name in masks)):
        arguments = ("--mask", tmp_path / prompt, "--weights", weights, "--out", tmp_path / "out.png")
        done = run("predict", tmp_path / image, *arguments)
        assert done.exit_code == 0, done.output
        found.append(np.asarray(Image.open(tmp_path / "out.png")))
    assert found[0].any()
    for other in found[1:]:
        assert np.array_equal(other, found[0])
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "float.tiff")
    assert "unknown range" in complain(
        "predict", tmp_path / "float.tiff", "--box", "1,1,5,5", "--out", tmp_path / "x.png"
    )


@pytest.mark.parametrize(
    "prompt",
    [
        ("--ellipse", "160,150,60,40,inf"),
        ("--point", "100,100,1e160"),
        ("--point", "1e200,1,5"),
    ],
)
def test_huge_numbers_give_a_short_error(prompt: tuple[str, ...], picture: Path, weights: Path, tmp_path: Path) -> None:
    assert len(complain("predict", picture, *prompt, "--weights", weights, "--out", tmp_path / "out.png")) < 400
