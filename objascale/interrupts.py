"""Ctrl-C (SIGINT) and SIGTERM, which job schedulers send when the time is over.

Both raise KeyboardInterrupt. A loop that should first finish its work in progress runs inside `finish_first`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from types import FrameType


class Terminated(KeyboardInterrupt):
    """The process has received SIGTERM."""


def exit_code(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code of a command that an interrupt ends: 143 after SIGTERM, 130 after Ctrl-C."""
    return 128 + (signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Raise Terminated when SIGTERM arrives in this block, as Python raises KeyboardInterrupt for SIGINT."""
    with _handler(_raise, signal.SIGTERM):
        yield


@contextmanager
def finish_first() -> Iterator[Callable[[], bool]]:
    """Delay an interrupt to the end of the block, so that work in progress is finished. A second one is raised at once.

    Outside the main thread, which receives all signals, the block has no effect.

    Yields:
        A function that returns whether the block should end.

    Raises:
        KeyboardInterrupt: Ctrl-C arrived in the block.
        Terminated: SIGTERM arrived in the block.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            _raise(number, frame)
        received.append(number)
        os.write(2, b"\nfinishing the work at hand; interrupt again to end at once\n")  # print may be running

    with _handler(handle, signal.SIGINT, signal.SIGTERM):
        try:
            yield lambda: bool(received)
        except KeyboardInterrupt:
            if not received:
                raise
    if received:
        _raise(received[0], None)


def ignore_interrupts() -> None:
    """Ignore both signals in this process, a child that its parent ends.

    A terminal also sends Ctrl-C to the children of a program, and job schedulers send them SIGTERM.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block both signals for the processes that are started inside. Here they arrive after the block."""
    resource_tracker.ensure_running()  # it would unblock them when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _raise(number: int, _frame: FrameType | None) -> None:
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextmanager
def _handler(handle: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    """Handle signals in this block. Signals that are ignored, as under nohup, stay ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handle_here(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            handle(number, frame)
        else:  # a forked process, which has inherited the handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in numbers:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handle_here)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
