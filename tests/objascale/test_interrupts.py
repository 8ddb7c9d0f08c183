"""Ctrl-C and SIGTERM: work in progress finishes, a second signal ends at once, the exit code depends on the signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from objascale.interrupts import Terminated, exit_code, finish_first, raise_on_sigterm

SIGNALS = [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)]


@pytest.fixture(autouse=True)
def _python_handlers():
    """Install the handlers of a program that runs in the foreground."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "kind", "code"), SIGNALS)
def test_work_in_progress_is_finished(number, kind, code):
    before = signal.getsignal(number)
    done = []

    def work():
        with finish_first() as stopping:
            for item in range(9):
                if item == 3:
                    os.kill(os.getpid(), number)
                done.append(item)
                if stopping():
                    break

    with pytest.raises(kind) as caught:
        work()
    assert done == [0, 1, 2, 3]
    assert type(caught.value) is kind
    assert exit_code(caught.value) == code
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("first", "kind", "code"), SIGNALS)
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(first, second, kind, code):
    done = []

    def work():
        with finish_first():
            for number in (first, second):
                os.kill(os.getpid(), number)
                done.append(number)

    with pytest.raises(kind) as caught:
        work()
    assert done == [first]
    assert exit_code(caught.value) == code


def test_an_error_of_the_block_is_raised_before_the_interrupt():
    def work():
        with finish_first():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_sigterm_raises_only_inside_the_block():
    before = signal.getsignal(signal.SIGTERM)  # Ray sets one where it is imported
    with pytest.raises(Terminated), raise_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_ignored_signals_stay_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with finish_first() as stopping:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stopping()


def test_another_thread_receives_no_signals_and_changes_no_handlers():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work():
        with finish_first() as stopping:
            seen.extend((stopping(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False, before]


def test_a_forked_process_has_the_default_handler():
    code = (
        "import os, signal, time\n"
        "from objascale.interrupts import finish_first, raise_on_sigterm\n"
        "reading, writing = os.pipe()\n"
        "with raise_on_sigterm(), finish_first() as stopping:\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        os.write(writing, b'ready')\n"
        "        time.sleep(60)\n"
        "        os._exit(1)\n"
        "    os.read(reading, 5)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    print(os.waitpid(child, 0)[1], stopping())\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == (f"{int(signal.SIGTERM)} False\n", "")


@pytest.mark.parametrize(("number", "kind", "code"), SIGNALS)
def test_an_interrupted_command_ends_with_a_message(number, kind, code):
    """The app handles a signal that the command does not handle."""
    text = (
        "import os\n"
        "from objascale.terminal import App\n"
        "app = App('Test.')\n"
        "@app.command()\n"
        f"def work(): os.kill(os.getpid(), {int(number)}); print('still here')\n"
        "@app.command()\n"
        "def other(): ...\n"
        "app()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", text, "work"], capture_output=True, text=True, check=False, preexec_fn=in_foreground
    )
    assert result.returncode == code
    assert result.stdout == ""
    assert result.stderr == "error: interrupted; run the same command again to continue\n"


def in_foreground() -> None:
    """Restore the handling of Ctrl-C, which a shell disables for background processes."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
