"""The page of `bench serve` in a real browser: prompts by mouse and keyboard, masks, zoom, link, files."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FilePayload, Locator, Page, expect

from bench.serve.server import Server
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask
from tests.bench.serving import picture, png, service
from tests.tabs import opened

REFUSED = re.compile("Failed to load resource: the server responded with a status of 4")  # the browser's own note
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def address(write_discs, tmp_path_factory) -> Iterator[str]:
    """Serve three pictures of 240 px with the models box, ellipse and grabcut."""
    folder = write_discs(tmp_path_factory.mktemp("serve") / "discs", 3, size=240)
    served = service(open_dataset(folder))
    server = Server(served)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield server.address
    server.stop()
    thread.join()
    served.close()


@pytest.fixture
def page(tab: Page, address: str) -> Iterator[Page]:
    """Return the page; at the end, assert that it logged no error and asked only its own server."""
    tab.set_default_timeout(15_000)
    with opened(tab, address, 1300, (address, "blob:"), REFUSED):
        settle(tab)
        yield tab


def panel(page: Page, model: str) -> Locator:
    return page.locator(f".panel[data-model={model}]")


def settle(page: Page) -> None:
    """Wait until the models have answered and the link is written."""
    expect(page.locator("body")).to_have_attribute("aria-busy", "false")


def fragment(page: Page) -> dict[str, str]:
    """Return the state that the link holds."""
    settle(page)
    return dict(part.split("=") for part in page.evaluate("location.hash").removeprefix("#").split("&"))


def numbers(page: Page, name: str) -> list[float]:
    return [float(number) for number in fragment(page)[name].split(",")]


def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drag between two positions, given as shares of the stage."""
    frame = page.locator("#stage canvas").bounding_box()
    assert frame is not None
    (x0, y0), (x1, y1) = ((frame["x"] + x * frame["width"], frame["y"] + y * frame["height"]) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def test_the_masks_of_all_models_and_their_iou_are_shown_at_once(page: Page) -> None:
    for model in ("box", "ellipse", "grabcut"):
        expect(panel(page, model).locator(".iou")).to_have_text(re.compile(r"IoU 0\.\d\d|IoU 1\.00"))
        expect(panel(page, model).locator(".time")).to_have_text(re.compile(r"[\d.]+ ms|s"))
    expect(panel(page, "ellipse").locator(".iou")).to_have_text(re.compile("IoU (0.9|1.0)"))


def test_a_box_is_drawn_with_the_mouse_and_moved_and_resized_with_keys(page: Page) -> None:
    page.get_by_text("Box", exact=True).click()
    page.locator("#zoom-fit").click()
    page.locator("#stage").focus()
    page.keyboard.press("Escape")
    drag(page, (0.4, 0.3), (0.6, 0.5))
    x0, y0, x1, y1 = numbers(page, "box")
    assert x1 - x0 > 20
    assert y1 - y0 > 20
    expect(page.locator("#numbers")).to_contain_text("box")
    area = round(x1 - x0) * round(y1 - y0)
    page.keyboard.press("ArrowRight")
    moved = numbers(page, "box")
    assert moved[0] > x0
    assert moved[1:4:2] == [y0, y1]
    page.keyboard.press("Shift+ArrowUp")
    taller = numbers(page, "box")
    assert taller[3] - taller[1] > y1 - y0
    expect(panel(page, "box").locator(".time")).to_have_attribute("title", re.compile("px, prompted by its box"))
    title = panel(page, "box").locator(".time").get_attribute("title") or ""
    assert int(title.split(" px")[0].replace(",", "")) > area


def test_the_handles_of_an_ellipse_move_scale_and_turn_it(page: Page) -> None:
    page.locator("#stage").focus()
    page.keyboard.press("0")
    page.keyboard.press("Escape")
    drag(page, (0.4, 0.4), (0.6, 0.6))
    x, y, a, b, degrees = numbers(page, "ellipse")
    assert degrees == 0
    view = numbers(page, "view")
    frame = page.locator("#stage canvas").bounding_box()
    assert frame is not None

    def at(px: float, py: float) -> tuple[float, float]:
        """Return the share of the stage at a point of the picture."""
        return (
            ((px - view[0]) * view[2] + frame["width"] / 2) / frame["width"],
            ((py - view[1]) * view[2] + frame["height"] / 2) / frame["height"],
        )

    drag(page, at(x + a, y), at(x + a / 2, y))
    assert numbers(page, "ellipse")[2] == pytest.approx(a / 2, abs=1.5)
    drag(page, at(x + a / 4, y + b / 4), at(x + a / 4 + 10, y + b / 4))
    assert numbers(page, "ellipse")[0] == pytest.approx(x + 10, abs=1)
    page.keyboard.press(".")
    assert numbers(page, "ellipse")[4] == pytest.approx(5, abs=0.01)
    expect(panel(page, "ellipse").locator(".time")).to_have_attribute("title", re.compile("prompted by its Gaussian"))


def test_clicks_are_set_with_mouse_and_keyboard_and_refused_by_models_without(page: Page) -> None:
    page.locator("#stage").focus()
    page.keyboard.press("c")
    page.locator("#stage canvas").click(position={"x": 200, "y": 200})
    page.locator("#stage canvas").click(position={"x": 260, "y": 200}, modifiers=["Shift"])
    clicks = numbers(page, "clicks")
    assert clicks[2::3] == [1, 0]
    expect(panel(page, "box").locator(".note")).to_have_text("this model takes no clicks; draw a box or an ellipse")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert len(numbers(page, "clicks")) == 9
    page.keyboard.press("Backspace")
    assert len(numbers(page, "clicks")) == 6


def test_a_prompt_is_made_by_keyboard_alone(page: Page) -> None:
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skips to the picture
    expect(page.locator("#stage")).to_be_focused()
    for key in ("Escape", "b", "Enter"):
        page.keyboard.press(key)
    assert len(numbers(page, "box")) == 4
    expect(panel(page, "box").locator(".time")).not_to_be_empty()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Arrow keys")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert "box" in fragment(page)


def test_a_link_restores_picture_prompt_changes_and_view(page: Page, address: str) -> None:
    page.keyboard.press("PageDown")
    expect(page.locator("#about")).to_contain_text("000001.png")
    page.get_by_label("Noise").fill("3")
    expect(page).to_have_url(re.compile("noise=3"))
    page.locator("#stage").focus()
    page.keyboard.press("+")
    page.keyboard.press(".")
    page.keyboard.press("p")
    expect(page.locator("[name=patches]")).to_be_checked()
    before = fragment(page)
    assert {"picture", "ellipse", "noise", "view", "object", "patches"} <= before.keys()
    page.reload()
    expect(page.locator("#about")).to_contain_text("000001.png")
    expect(page.locator("#dial-noise")).to_have_value("3")
    expect(panel(page, "ellipse").locator(".time")).not_to_be_empty()
    assert fragment(page) == before
    for damaged in ("%", "picture=../../x", "picture=0&ellipse=1,2&view=x,y,0&noise=99&object=-5", "picture=99"):
        page.goto(f"{address}#{damaged}")
        settle(page)
    expect(page.get_by_role("alert")).to_contain_text("is not here")


def test_the_object_shrinks_with_its_prompt(page: Page) -> None:
    page.keyboard.press("PageDown")
    page.keyboard.press("PageDown")
    expect(page.locator("#about")).to_contain_text("000002.png")
    expect(panel(page, "ellipse").locator(".iou")).not_to_be_empty()
    before = numbers(page, "ellipse")
    page.get_by_label("Shrink the object").fill("2")  # its scale is logarithmic
    expect(page.locator(".dial output").first).to_have_text("4×")
    expect(page.locator("#numbers")).to_contain_text("1/")
    expect(page).to_have_url(re.compile("shrink=4"))
    after = numbers(page, "ellipse")
    assert after[2] == pytest.approx(before[2] / 4, abs=0.02)
    expect(panel(page, "ellipse").locator(".iou")).to_have_text(re.compile("IoU (0.[89]|1.0)"))
    page.get_by_role("button", name="Reset").click()
    expect(page).not_to_have_url(re.compile("shrink"))
    assert numbers(page, "ellipse") == pytest.approx(before, abs=0.1)


def test_mask_and_prompt_are_saved(page: Page) -> None:
    expect(panel(page, "box").locator(".iou")).not_to_be_empty()
    with page.expect_download() as png_file:
        panel(page, "box").get_by_role("button", name="PNG").click()
    saved = np.array(Image.open(png_file.value.path()))
    assert saved.shape == (240, 240)
    assert png_file.value.suggested_filename == "000000-box.png"
    with page.expect_download() as json_file:
        panel(page, "box").get_by_role("button", name="COCO RLE").click()
    (entry,) = json.loads(Path(json_file.value.path()).read_text())
    assert (RegionMask.from_rle(entry["segmentation"]).full() == (saved > 0)).all()
    assert entry["prompt"]["kind"] == "ellipse"
    with page.expect_download() as view_file:
        page.get_by_role("button", name="Save view").click()
    assert np.array(Image.open(view_file.value.path())).shape[1] > 600
    panel(page, "box").get_by_role("button", name="Python").click()
    expect(page.get_by_role("dialog")).to_contain_text("load_model('box')")


def test_a_file_of_8192_pixels_is_opened_and_zoomed_to_its_pixels(page: Page) -> None:
    pixels = np.full((8192, 8192, 3), 40, np.uint8)
    pixels[4000:4020, 5000:5030] = (220, 30, 30)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Open picture…").first.click()
    payload: FilePayload = {"name": "large.png", "mimeType": "image/png", "buffer": png(pixels)}
    chooser.value.set_files([payload])
    expect(page.locator("#about")).to_have_text("large.png · 8192×8192")
    frame = page.locator("#stage canvas").bounding_box()
    assert frame is not None
    view = numbers(page, "view")
    x, y = (
        frame["x"] + (5015 - view[0]) * view[2] + frame["width"] / 2,
        frame["y"] + (4010 - view[1]) * view[2] + frame["height"] / 2,
    )
    page.mouse.move(x, y)
    for _ in range(12):
        page.mouse.wheel(0, -300)
    assert numbers(page, "view")[2] > 8
    expect(page.locator("#stage canvas")).to_have_attribute("data-complete", "true")
    shot = np.array(Image.open(io.BytesIO(page.screenshot(clip={"x": x - 5, "y": y - 5, "width": 10, "height": 10}))))
    assert np.abs(shot[..., :3].astype(int) - (220, 30, 30)).max() <= 3


def test_a_broken_file_is_a_message_and_the_page_goes_on(page: Page) -> None:
    expect(panel(page, "box").locator(".iou")).not_to_be_empty()
    page.locator("#file").set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": picture()[:40]})
    expect(page.get_by_role("alert")).to_contain_text("broken.png is no picture that can be read")
    page.keyboard.press("PageDown")
    expect(page.get_by_role("alert")).to_be_hidden()


@pytest.mark.parametrize("width", [400, 1400, 2560])
def test_nothing_is_wider_than_the_window(tab: Page, address: str, width: int) -> None:
    with opened(tab, address, width, (address, "blob:"), REFUSED):
        expect(panel(tab, "box").locator(".iou")).not_to_be_empty()
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        for part in ("#stage", "#panels", "#changes", "#tools"):
            frame = tab.locator(part).bounding_box()
            assert frame is not None
            assert frame["x"] >= 0
            assert frame["x"] + frame["width"] <= width
