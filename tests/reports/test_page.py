"""The page in a real browser, from disk, without a server or network, by mouse and by keyboard."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator, Page, Request, expect

from reports.build import build_report
from reports.figures.registry import FIGURES
from tests.tabs import opened

HOSTILE = "<img src=x onerror=\"document.title='hacked'\">"
MODELS = ("flip-tiny", "mobilesam-onnx", "box")


def poor(rows: pd.DataFrame) -> pd.DataFrame:
    """Results of 16 objects: a hostile category, two errors and an empty mask of flip-tiny, and a missing image."""
    rows.loc[rows["image_id"] == "0", "category"] = HOSTILE
    flip = rows["model"] == "flip-tiny"
    failed = flip & rows["image_id"].isin(["1", "2"])
    rows.loc[failed, ["error", "predicted_rle", "iou", "predicted_area"]] = [HOSTILE, None, 0.0, 0]
    rows.loc[flip & (rows["image_id"] == "3"), ["predicted_rle", "iou", "predicted_area"]] = [None, 0.0, 0]
    return rows


def graded(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with 0 to 5 of noise, 1 of haze or none, and three pictures without difficulty."""
    number = rows["image_id"].astype(int)
    texts = [json.dumps({"noise": n / 3, "contrast": float(n % 2), "motion": 0.0}) for n in number]
    return rows.assign(difficulty=pd.Series(texts, rows.index).where(number < 13))


@pytest.fixture(scope="module")
def address(results_maker, tmp_path_factory) -> str:
    """Build a report on three data sets with one figure and all tables: one with difficulty, one with 400 objects.

    A folder has a name that is wider than a phone and has no hyphen to break at.
    """
    first = results_maker("first_" + 50 * "x", MODELS, objects=16, side=300)
    table = first / "results.parquet"
    graded(poor(pd.read_parquet(table))).to_parquet(table)
    (first.parent / f"{first.name}-data" / "images" / "000005.png").unlink()
    second = results_maker("second", ("box", "ellipse"), objects=3, dataset="photos", seed=1)
    long = results_maker("long", ("box",), objects=8, dataset="long", seed=2)
    rows = pd.read_parquet(long / "results.parquet").assign(fraction=0.02)  # larger ones lead the page
    copies = [rows.assign(object_id=rows["object_id"] + f"-{copy}") for copy in range(50)]
    pd.concat(copies).to_parquet(long / "results.parquet")
    out = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reports.build.FIGURES", {"10": FIGURES["10"]})
        return build_report([first, second, long], out).page.as_uri()


@pytest.fixture
def page(tab: Page, address: str) -> Iterator[Page]:
    """Return the page; at the end, assert that it logged no error and requested only files."""
    tab.set_default_timeout(10_000)
    with opened(tab, address, 1280, ("file:", "data:")):
        yield tab
        assert "hacked" not in tab.title()


def open_gallery(page: Page) -> None:
    page.get_by_role("navigation").get_by_role("link", name="Every object").click()
    expect(page.locator("#count")).to_have_text("16 of 16 objects")


def control(page: Page, name: str) -> Locator:
    return page.locator(f"#filters [name={name}]")


def ious(page: Page, model: int) -> list[str]:
    """Return the IoU texts of a model on the cards, in their order."""
    return page.locator(f"#cards .scores li:nth-child({model + 1}) b").all_inner_texts()


def test_the_first_screen_holds_the_sentence_and_the_size_curve(page: Page) -> None:
    sentence, curve = page.locator("header .answer"), page.locator("header img")
    assert sentence.inner_text().startswith("Only 8 objects of 5 assets are below 1/1000 of the picture; ")
    assert sentence.locator(".interval").count() == sentence.locator(".value").count() > 0
    assert curve.get_attribute("src") == "figures/objascale/iou-by-size.svg"
    assert page.locator("#figures-objascale + .figures img").count() == 0  # the only figure stands above
    for width in (400, 1400, 2560):
        page.set_viewport_size({"width": width, "height": 900})
        text, drawn = sentence.bounding_box(), curve.bounding_box()
        assert drawn["y"] < 900
        assert text["y"] + text["height"] < 900
        beside = drawn["x"] >= text["x"] + text["width"] and drawn["y"] < text["y"] + text["height"]
        assert beside == (width >= 1000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_and_gallery_follow_the_answer(page: Page) -> None:
    order = page.locator("main > section").evaluate_all("sections => sections.map(section => section.id)")
    assert order == ["all", "objects", "data-objascale", "data-photos", "data-long", "runs", "published"]


def test_every_picture_has_an_alternative_text(page: Page) -> None:
    open_gallery(page)
    page.locator("#cards .open").first.click()
    expect(page.locator("#viewer .panel img").first).to_be_visible()
    script = "[...document.images].filter(image => image.src && !image.alt.trim()).map(image => image.outerHTML)"
    assert page.evaluate(script) == []


def test_words_hold_no_backticks(page: Page) -> None:
    assert "`" not in page.locator("body").inner_text()
    assert page.locator("main code").count() > 0


def test_paper_shows_whole_tables_and_no_controls(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 700, "height": 900})
    expect(page.locator("nav")).to_be_hidden()
    expect(page.locator("#objects")).to_be_hidden()
    expect(page.locator(".answer").first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')").strip() == "#1a2130"
    script = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollHeight > e.clientHeight + 1).length"
    assert page.evaluate(script) == 0


def test_filters_change_which_objects_are_shown(page: Page) -> None:
    open_gallery(page)
    count, form = page.locator("#count"), page.locator("#filters")
    control(page, "outcome").select_option("error")
    expect(count).to_have_text("2 of 16 objects")
    expect(page.locator("#cards .object")).to_have_count(2)
    control(page, "outcome").select_option("none")
    expect(count).to_have_text("1 of 16 objects")
    control(page, "outcome").select_option("either")
    control(page, "model").select_option("box")
    expect(count).to_have_text("0 of 16 objects")
    form.get_by_role("button", name="Reset").click()
    expect(count).to_have_text("16 of 16 objects")
    control(page, "model").select_option("box")
    control(page, "most").fill("0.8")
    low = [float(iou) for iou in ious(page, 2)]
    assert 0 < len(low) < 16
    assert max(low) <= 0.8
    form.get_by_role("button", name="Reset").click()
    bins = control(page, "size").locator("option").all_inner_texts()[1:]
    assert sum(int(text.rsplit("(", 1)[1][:-1]) for text in bins) == 16
    control(page, "category").select_option(index=2)
    named = control(page, "category").locator("option").nth(2).inner_text()
    expect(count).to_have_text(f"{named.rsplit('(', 1)[1][:-1]} of 16 objects")
    assert set(page.locator("#cards h3").all_inner_texts()) == {named.rsplit(" (", 1)[0]}


def test_objects_can_be_sorted(page: Page) -> None:
    open_gallery(page)
    gaps = [
        abs(float(a) - float(b)) for a, b in zip(ious(page, 0), ious(page, 1), strict=True) if "." in a and "." in b
    ]
    assert all(before >= after - 0.011 for before, after in itertools.pairwise(gaps))
    control(page, "sort").select_option("low")
    expect(control(page, "second")).to_be_hidden()
    control(page, "first").select_option("box")
    lowest = ious(page, 2)
    assert lowest == sorted(lowest, key=float)
    control(page, "sort").select_option("pixels")
    sizes = [int(text.split(" px")[0].replace(",", "")) for text in page.locator("#cards p").all_inner_texts()]
    assert sizes == sorted(sizes)


def sizes(page: Page) -> list[str]:
    """Return the number and size of every card, which names the object."""
    return page.locator("#cards .object p").all_inner_texts()


def test_objects_are_filtered_by_the_strength_of_a_dial(page: Page) -> None:
    open_gallery(page)
    count = page.locator("#count")
    assert control(page, "dial").locator("option").all_inner_texts() == ["all, summed", "noise", "contrast"]
    assert control(page, "strongest").input_value() == "5"  # of 11 / 3 + 1
    control(page, "dial").select_option("noise")
    assert control(page, "strongest").input_value() == "4"
    expect(count).to_have_text("16 of 16 objects")
    control(page, "weakest").fill("2")
    expect(count).to_have_text("7 of 16 objects")  # 6 / 3 to 12 / 3
    control(page, "strongest").fill("3")
    expect(count).to_have_text("4 of 16 objects")
    control(page, "dial").select_option("contrast")
    expect(count).to_have_text("16 of 16 objects")
    control(page, "weakest").fill("1")
    expect(count).to_have_text("6 of 16 objects")
    control(page, "dial").select_option("")
    control(page, "weakest").fill("4")
    expect(count).to_have_text("3 of 16 objects")  # 9 / 3 + 1, 11 / 3 + 1 and 12 / 3
    page.locator("#filters").get_by_role("button", name="Reset").click()
    expect(count).to_have_text("16 of 16 objects")


def test_objects_are_sorted_by_the_strength_of_a_dial(page: Page) -> None:
    open_gallery(page)
    control(page, "dial").select_option("noise")
    control(page, "sort").select_option("hard")
    expect(control(page, "first")).to_be_hidden()
    page.locator("#cards .open").first.click()
    expect(page.locator("#viewer .known")).to_contain_text("noise 4.0, contrast 0.0")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#viewer .known")).to_contain_text("noise 3.7, contrast 1.0")
    page.keyboard.press("Escape")
    hardest = sizes(page)
    control(page, "sort").select_option("easy")
    easiest = sizes(page)
    assert easiest[:13] == hardest[:13][::-1]
    assert easiest[13:] == hardest[13:]  # without difficulty


def test_data_without_difficulty_has_no_dials(page: Page) -> None:
    open_gallery(page)
    control(page, "dataset").select_option("photos")
    expect(page.locator("#count")).to_have_text("3 of 3 objects")
    expect(control(page, "dial")).to_be_hidden()
    assert control(page, "sort").locator("option:not([disabled])").count() == 7


def test_another_data_set_has_its_own_models(page: Page) -> None:
    open_gallery(page)
    control(page, "dataset").select_option("photos")
    expect(page.locator("#count")).to_have_text("3 of 3 objects")
    assert page.locator("#toggles label").all_inner_texts() == ["true mask", "box", "ellipse"]
    control(page, "outcome").select_option("error")
    page.locator("#filters").get_by_role("button", name="Reset").click()
    expect(page.locator("#count")).to_have_text("3 of 3 objects")
    assert control(page, "dataset").input_value() == "photos"


def test_outlines_are_hidden_and_shown_without_loading_pictures(page: Page) -> None:
    open_gallery(page)
    outline = page.locator("#cards .object:nth-child(1) .m2")
    expect(outline).to_be_visible()
    requests: list[str] = []

    def note(request: Request) -> None:
        requests.append(request.url)

    page.on("request", note)
    page.get_by_label("box", exact=True).uncheck()
    expect(outline).to_be_hidden()
    page.get_by_label("box", exact=True).check()
    expect(outline).to_be_visible()
    page.remove_listener("request", note)
    assert requests == []
    assert outline.get_attribute("d").startswith("M")


def test_the_viewer_can_be_used_by_keyboard(page: Page) -> None:
    open_gallery(page)
    first = page.locator("#cards .open").first
    first.focus()
    page.keyboard.press("Enter")
    viewer = page.locator("#viewer")
    expect(viewer).to_be_visible()
    expect(viewer.locator("output")).to_have_text("1 of 16")
    expect(viewer.locator(".panel .swatch")).to_have_text(list(MODELS))
    page.keyboard.press("ArrowRight")
    expect(viewer.locator("output")).to_have_text("2 of 16")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(viewer.locator("output")).to_have_text("1 of 16")
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    expect(viewer.locator("output")).to_have_text("16 of 16")
    page.keyboard.press("Escape")
    expect(viewer).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "open"


def test_only_cards_near_the_window_exist(page: Page) -> None:
    open_gallery(page)
    control(page, "dataset").select_option("long")
    expect(page.locator("#count")).to_have_text("400 of 400 objects")
    cards = page.locator("#cards .object")
    for share in (0, 0.5, 1):
        page.evaluate("share => { pane.scrollTop = share * pane.scrollHeight; }", share)
        place = 1 + round(share * 399)
        near = "place => [...list.children].some(card => Math.abs(card.ariaPosInSet - place) < 12)"
        page.wait_for_function(near, arg=place)
        assert 10 <= cards.count() < 100
        assert cards.first.get_attribute("aria-setsize") == "400"
    cards.last.locator("path").first.wait_for(state="attached")


def test_arrow_keys_move_between_cards(page: Page) -> None:
    open_gallery(page)
    control(page, "dataset").select_option("long")
    expect(page.locator("#count")).to_have_text("400 of 400 objects")
    page.locator("#cards .open").first.focus()
    focused = "Number(document.activeElement.closest('article').ariaPosInSet)"
    columns = page.evaluate("view.columns")
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == 1 + 12 * columns
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    assert page.evaluate(focused) == 2 + 11 * columns
    shown, window = page.locator(":focus").bounding_box(), page.locator("#window").bounding_box()
    assert window["y"] <= shown["y"] < window["y"] + window["height"]
    page.keyboard.press("Enter")
    expect(page.locator("#viewer output")).to_have_text(f"{2 + 11 * columns} of 400")
    page.keyboard.press("Escape")
    assert page.evaluate(focused) == 2 + 11 * columns


def test_the_viewer_shows_the_reason_of_a_missing_mask(page: Page) -> None:
    open_gallery(page)
    control(page, "outcome").select_option("either")
    said = set()
    page.locator("#cards .open").first.click()
    for _ in range(3):
        said.add(page.locator("#viewer .panels .panel").first.locator("figcaption span").first.inner_text())
        page.keyboard.press("ArrowRight")
    assert said == {f"Error: {HOSTILE}", "The mask is empty."}
    box = page.locator("#viewer .panels .panel").nth(2).locator("figcaption span").first.inner_text()
    assert "on the object, covering 100 % of it." in box


def test_a_missing_picture_has_a_card_with_the_reason(page: Page) -> None:
    open_gallery(page)
    assert page.locator("#cards .absent").count() == 1
    assert "000005.png is missing" in page.locator("#cards .absent").inner_text()
    expect(page.locator("#cards .object")).to_have_count(16)


def test_text_of_results_is_never_markup(page: Page) -> None:
    open_gallery(page)
    assert HOSTILE in page.locator("#cards h3").all_inner_texts()
    assert page.locator("img[onerror], img[src='x']").count() == 0


def test_tables_are_sorted_by_click_and_key(page: Page) -> None:
    table = page.locator("#table-objascale-iou").first
    heading = table.locator("th").filter(has_text="mean ± std").first
    means = table.locator("td.mark-best, td.mark-second, tbody tr td:nth-child(5)")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    values = [float(text.split(" ± ")[0]) for text in means.all_inner_texts()]
    assert values == sorted(values, reverse=True)
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    values = [float(text.split(" ± ")[0]) for text in means.all_inner_texts()]
    assert values == sorted(values)
    table.get_by_role("button", name="Model", exact=True).click()
    assert heading.get_attribute("aria-sort") is None
    names = table.locator("tbody th").all_inner_texts()
    assert names == sorted(names)
    costs = page.locator("#table-table-1")
    costs.get_by_role("button", name="Parameters").click()  # some cells also have the number of the paper
    largest = costs.locator("tbody tr td:nth-child(3)").all_inner_texts()
    assert largest[0].startswith("10.1 M")
    assert largest[1].startswith("0.51 M")
    table.get_by_role("button", name="95 % CI").click()
    bounds = [float(text.split(",")[0].strip("[")) for text in table.locator("tbody td:nth-child(6)").all_inner_texts()]
    assert bounds == sorted(bounds, reverse=True)
    sized = page.locator("#table-objascale-iou-by-size").first
    sized.get_by_role("button").nth(3).click()
    assert sized.locator("tbody th").all_inner_texts()[-1] == "objects"


def test_numbers_in_tables_are_read_as_numbers(page: Page) -> None:
    texts = ["0.51 M", "9.80 M", "3.2×10⁻⁷", "−0.5 [−1, 2]", "1,234", "12†", "—", "flip-tiny", "+0.035"]
    script = "texts => texts.map(text => value(Object.assign(document.createElement('td'), {textContent: text})))"
    found = page.evaluate(script, texts)
    assert found[:2] == pytest.approx([0.51e6, 9.8e6])
    assert found[2:6] == pytest.approx([3.2e-7, -0.5, 1234, 12])
    assert found[6:] == [None, "flip-tiny", 0.035]


def test_a_figure_can_be_zoomed_and_closed_by_keyboard(page: Page) -> None:
    page.locator("a.plot").first.focus()
    page.keyboard.press("Enter")
    lightbox, figure = page.locator("#lightbox"), page.locator("#lightbox img")
    expect(lightbox).to_be_visible()
    expect(lightbox.locator("output")).to_have_text("100 %")
    before = figure.bounding_box()
    page.keyboard.press("+")
    expect(lightbox.locator("output")).to_have_text("125 %")
    after = figure.bounding_box()
    assert after["width"] == pytest.approx(1.25 * before["width"], rel=0.01)
    page.keyboard.press("ArrowRight")
    assert figure.bounding_box()["x"] == pytest.approx(after["x"] - 60, abs=1)
    x, y = after["x"] + 200, after["y"] + 200
    page.mouse.move(x, y)
    page.mouse.wheel(0, -240)
    wheeled = figure.bounding_box()
    assert wheeled["width"] > 1.3 * after["width"]
    assert (x - wheeled["x"]) / wheeled["width"] == pytest.approx((x - after["x"] + 60) / after["width"], abs=0.01)
    page.keyboard.press("0")
    expect(lightbox.locator("output")).to_have_text("100 %")
    page.keyboard.press("Escape")
    expect(lightbox).to_be_hidden()


def test_every_control_has_a_name_and_can_be_reached(page: Page) -> None:
    open_gallery(page)
    script = """[...document.querySelectorAll("button, select, input, a[href]")].filter(
        (e) => e.tabIndex < 0 || !(e.labels?.length || e.ariaLabel || e.textContent.trim() || e.querySelector("[alt]"))
    ).map((e) => e.outerHTML)"""
    assert page.evaluate(script) == []


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_phones_and_follows_the_colour_scheme(page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    open_gallery(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(ground[4:].split(",")[0]) > 127) == (scheme == "light")


def test_without_javascript_some_objects_and_all_tables_are_shown(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(address)
    assert plain.locator(".some .object").count() == 8 + 3 + 8
    assert plain.locator(".some .object svg path").count() > 20
    expect(plain.locator("#filters")).to_be_hidden()
    expect(plain.get_by_text("The gallery needs JavaScript")).to_be_visible()
    context.close()


@pytest.mark.slow
def test_ten_thousand_objects_and_ten_models_are_usable(browser: Browser, many_results: Path, tmp_path: Path) -> None:
    started = time.perf_counter()
    report = build_report([many_results], tmp_path / "report")
    print(f"\nbuilt in {time.perf_counter() - started:.0f} s")
    files = list(tmp_path.rglob("objects.js"))
    size = report.page.stat().st_size + sum(path.stat().st_size for path in files)
    print(f"page and objects: {size / 1e6:.2f} MB")
    assert size < 5e6
    page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    started = time.perf_counter()
    page.goto(report.page.as_uri())
    page.locator("nav a[href='#objects']").click()
    expect(page.locator("#count")).to_have_text("10,200 of 10,200 objects")
    page.locator("#cards .object").first.wait_for()
    print(f"opened in {time.perf_counter() - started:.2f} s")
    for how in ("low", "small", "gap"):
        started = time.perf_counter()
        page.locator("#filters [name=sort]").select_option(how)
        page.evaluate("new Promise(requestAnimationFrame)")
        print(f"sorted by {how} in {time.perf_counter() - started:.2f} s")
    page.evaluate("pane.scrollTop = pane.scrollHeight / 2")
    page.wait_for_function("document.querySelector('#cards .object').ariaPosInSet > 3000")
    assert page.locator("#cards .object").count() < 120
    page.locator("#cards .m0").first.wait_for(state="attached")
    page.close()


@pytest.fixture
def many_results(results_maker) -> Path:
    """Return 102,000 rows: 200 objects with their images, each 51 times, by ten models."""
    folder = results_maker("many", MODELS, objects=200, side=200)
    rows = pd.read_parquet(folder / "results.parquet")
    models = [rows[rows["model"] == MODELS[i % 3]].assign(model=f"{MODELS[i % 3]}-{i}") for i in range(10)]
    ten = pd.concat(models, ignore_index=True)
    copies = [ten.assign(object_id=ten["object_id"] + f"-{copy}") for copy in range(51)]
    many = pd.concat(copies, ignore_index=True)
    many["iou"] = np.random.default_rng(0).random(len(many))
    assert len(many) == 102_000
    many.to_parquet(folder / "results.parquet")
    return folder
