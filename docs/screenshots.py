"""Take the screenshots of a report's page that the documentation shows.

    python docs/screenshots.py REPORT [--out docs/images]

REPORT is the folder of `reports build`. Needs Playwright and Chromium. The pictures have at most 250 kB each.
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
COLOURS = (256, 128, 64, 32)


def save(page: Page, path: Path) -> None:
    """Write what the page shows as a PNG with as many colours as fit into MAX_BYTES."""
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colours in COLOURS:
        content = io.BytesIO()
        picture.quantize(colours, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        if content.tell() <= MAX_BYTES:
            break
    path.write_bytes(content.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, reduced_motion="reduce")
        page.goto((arguments.report / "index.html").resolve().as_uri())
        page.wait_for_load_state("networkidle")
        save(page, arguments.out / "report-page.png")
        page.locator("nav a[href='#objects']").click()
        page.locator("#cards .object path").first.wait_for(state="attached")
        page.wait_for_load_state("networkidle")
        save(page, arguments.out / "report-gallery.png")
        page.locator("#cards .open").first.click()
        page.locator("#viewer .panel path").first.wait_for(state="attached")
        page.wait_for_load_state("networkidle")
        save(page, arguments.out / "report-object.png")
        browser.close()


if __name__ == "__main__":
    main()
