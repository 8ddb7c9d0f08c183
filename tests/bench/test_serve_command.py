"""`bench serve`: its start, its address, and what it says when it cannot start."""

from __future__ import annotations

import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest

from bench.serve.server import SAMPLE, Server
from objascale.datasets.formats import open_dataset
from tests.bench.serving import picture
from tests.bench_runs import bench, start

STATIC = Path(__file__).parents[2] / "bench" / "serve" / "static"


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Server]]:
    """Collect the servers instead of running them."""
    servers: list[Server] = []
    monkeypatch.setattr(Server, "run", lambda server: servers.append(server))
    yield servers
    for server in servers:
        server.close()


def test_it_prints_the_address_of_a_page_on_this_machine(tmp_path, served) -> None:
    (tmp_path / "disc.png").write_bytes(picture())
    shown = bench("serve", str(tmp_path / "disc.png"), "--models", "box,ellipse", "--no-open")
    assert shown.exit_code == 0, shown.output
    assert re.match(r"http://127\.0\.0\.1:\d+/\nCtrl-C ends the server\.\n", shown.stdout)
    assert len(served) == 1


def test_the_address_for_other_machines_has_a_token(served) -> None:
    shown = bench("serve", "--models", "box", "--host", "0.0.0.0", "--no-open")
    assert re.match(r"http://[\w.-]+:\d+/\?token=[\w-]{43}\n", shown.stdout)


def test_the_default_models_are_those_whose_weights_are_here(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    shown = bench("serve", "--no-open")
    assert shown.exit_code == 0, shown.output
    assert "without flip-tiny" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["missing.png"], "missing.png: No such file"),
        (["broken.png"], "broken.png is no picture that can be read"),
        (["--models", "sam-z"], "no model is called 'sam-z'"),
        (["--data", "nowhere"], "nowhere"),
        (["--data", "davis"], "data/davis"),
        (["--host", "203.0.113.1"], "cannot listen at --host 203.0.113.1"),
        (["--port", "{taken}"], "give another --port"),
    ],
)
def test_what_it_cannot_start_with_is_one_sentence(arguments, sentence, tmp_path, monkeypatch, served) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.png").write_bytes(b"broken")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        texts = [each.format(taken=taken.getsockname()[1]) for each in arguments]
        shown = bench("serve", *(["--models", "box"] if "--models" not in texts else []), *texts, "--no-open")
    assert shown.exit_code in (1, 2)
    assert sentence in shown.stderr
    assert "Traceback" not in shown.stderr
    assert served == []


def test_ctrl_c_ends_it_without_a_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    running = start("serve", "--models", "box", "--no-open", "--port", port)
    for _ in range(600):
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/"):
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, complaints = running.communicate()
    assert (running.returncode, complaints) == (0, "")


def test_without_its_packages_it_says_how_to_install_them(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    shown = bench("serve", "--no-open")
    assert shown.exit_code == 1
    assert "pip install 'objascale-suite[serve]'" in shown.stderr


def test_the_colours_are_those_of_the_reports() -> None:
    from flip.show import COLOURS
    from reports.style import FAMILIES

    text = (STATIC / "colours.js").read_text()
    families = dict(re.findall(r"(\w+): \"(#\w{6})\"", text.split("OTHERS")[0]))
    assert families == {family: colour for family, (colour, _, _) in FAMILIES.items()}
    patches = dict(re.findall(r"(\d+): \"#(\w{6})\"", text))
    assert {int(size): tuple(bytes.fromhex(colour)) for size, colour in patches.items()} == COLOURS


def test_the_sample_has_four_pictures_with_a_true_object_each() -> None:
    dataset = open_dataset(SAMPLE)
    assert len(dataset.samples) == 4
    for sample in dataset.samples:
        (truth,) = sample.objects()
        assert sample.picture().decode().shape[:2] == truth.size
        assert truth.mask().area > 1000


def test_every_file_of_the_page_is_in_the_package() -> None:
    suffixes = {path.suffix for folder in (STATIC, SAMPLE.parent) for path in folder.rglob("*.*")}
    text = (STATIC.parents[2] / "pyproject.toml").read_text()
    assert [suffix for suffix in suffixes if f'"*{suffix}"' not in text] == []
