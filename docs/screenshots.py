"""Take the screenshots of a report's page, and of the page of `bench serve`, that the documentation shows.

    python docs/screenshots.py REPORT [--out docs/images]
    python docs/screenshots.py 'http://127.0.0.1:8765/#picture=34&object=2' [--out docs/images]

REPORT is the folder of `reports build`, the address that of a running `bench serve`, here of objascale-mini-v1. Needs
Playwright and Chromium. The pictures have at most 250 kB each.
"""

from __future__ import annotations

import argparse
import io
import shutil
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1400, "height": 900}
MAX_BYTES = 250_000
COLOURS = (256, 128, 64, 32)  # of pictures that are larger in full colour


def save(page: Page, path: Path) -> None:
    """Write what the page shows as a PNG with as many colours as fit into MAX_BYTES."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for version in (
        picture,
        *(picture.quantize(colours, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE) for colours in COLOURS),
    ):
        content = io.BytesIO()
        version.save(content, "PNG", optimize=True)
        if content.tell() <= MAX_BYTES:
            break
    path.write_bytes(content.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", help="folder of a report, or the address of bench serve")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        if arguments.report.startswith("http://"):
            serve(page, arguments.report, arguments.out)
        else:
            report(page, Path(arguments.report), arguments.out)
        browser.close()


def report(page: Page, folder: Path, out: Path) -> None:
    """Take the first screen of a report, its gallery, and one object."""
    page.goto((folder / "index.html").resolve().as_uri())
    page.wait_for_load_state("networkidle")
    save(page, out / "report-page.png")
    page.locator("nav a[href='#objects']").click()
    page.locator("#cards .object path").first.wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    save(page, out / "report-gallery.png")
    page.locator("#cards .open").first.click()
    page.locator("#viewer .panel path").first.wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    save(page, out / "report-object.png")


def serve(page: Page, address: str, out: Path) -> None:
    """Take the first picture of `bench serve`, with patches. The prompt moves by a pixel first, so that no model still
    loads or encodes."""
    page.goto(address)
    for key in ("p", "z", "Alt+ArrowRight", "Alt+ArrowLeft"):
        page.wait_for_selector("body[aria-busy=false]", timeout=120_000)
        page.locator("#stage").press(key)
    page.wait_for_selector("body[aria-busy=false]", timeout=120_000)
    page.locator("#stage").blur()
    save(page, out / "serve.png")


if __name__ == "__main__":
    main()
