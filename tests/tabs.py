"""A browser tab that shows one page after the other, which takes a third of the CPU time of a new tab for each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page

NOTHING = re.compile("(?!)")


@contextmanager
def opened(
    tab: Page, address: str, width: int, allowed: tuple[str, ...], note: re.Pattern[str] = NOTHING
) -> Iterator[None]:
    """Load a page anew. At the end, assert that it logged no error and requested only allowed addresses.

    Args:
        tab: The tab. The size of its window and its emulated media are reset.
        address: Address of the page.
        width: Width of the window, in pixels.
        allowed: Beginnings of the addresses that the page may request.
        note: Beginning of console messages that are no errors.
    """
    complaints: list[str] = []
    listeners: dict[Any, Callable[[Any], None]] = {
        "console": lambda message: None if note.match(message.text) else complaints.append(message.text),
        "pageerror": lambda error: complaints.append(str(error)),
        "request": lambda request: None if request.url.startswith(allowed) else complaints.append(request.url),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.set_viewport_size({"width": width, "height": 900})
    tab.emulate_media(media="screen", color_scheme="light")
    tab.goto(address)
    yield
    tab.goto("about:blank")  # the events of the page have arrived
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    assert complaints == []
