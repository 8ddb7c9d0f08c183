"""Objects of Objaverse: from a local server with a small set of real GLBs, and from the cache of the package."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import objaverse as package
import pytest

from objascale import download
from objascale.benchmarks import Benchmark, BenchmarkContent, load_benchmark
from objascale.benchmarks.assets import find_assets, lock_path
from objascale.color import blender_datafiles
from objascale.dataset import read_annotations, read_header
from objascale.settings import PlanSettings, RenderSettings
from objascale.sources import SourceError, embedded, objaverse, objaverse_cache
from objascale.sources.objaverse import LICENCES, default_categories
from objascale.sources.starter import starter_glb

BASE = "/datasets/allenai/objaverse/resolve/main/"


glb = cache(starter_glb)


def uid(number: int) -> str:
    return f"{number:032x}"


@dataclass
class Tiny:
    """A server of four apples and three cups (one listed as both) in two shards, with the files of the real server."""

    server: object
    root: Path
    lvis: dict[str, list[str]] = field(
        default_factory=lambda: {"apple": [uid(n) for n in (0, 1, 2, 3)], "cup": [uid(n) for n in (3, 4, 5)], "ox": []}
    )
    licences: dict[int, str] = field(default_factory=dict)

    def path(self, number: int) -> str:
        return f"glbs/000-00{number % 2}/{uid(number)}.glb"

    def publish(self) -> None:
        files = {
            "lvis-annotations.json.gz": self.lvis,
            "object-paths.json.gz": {uid(n): self.path(n) for n in range(6)},
            **{f"metadata/000-00{shard}.json.gz": self.metadata(shard) for shard in (0, 1)},
        }
        for name, content in files.items():
            self.serve(name, gzip.compress(json.dumps(content).encode()))
        for number in range(6):
            self.serve(self.path(number), glb("apple" if number < 4 else "mug", number))

    def metadata(self, shard: int) -> dict[str, dict]:
        return {
            uid(n): {
                "uid": uid(n),
                "name": f"Thing {n}",
                "license": self.licences.get(n, "by"),
                "viewerUrl": f"https://sketchfab.com/3d-models/{uid(n)}",
                "user": {"username": "ann", "displayName": "Ann Artist"},
            }
            for n in range(shard, 6, 2)
        }

    def serve(self, name: str, content: bytes) -> None:
        """Serve a file by a redirect to another address, as the hub does."""
        self.server.files[f"/store/{name}"] = content
        self.server.answers[BASE + name] = [lambda reply: reply.send(302, Location=f"/store/{name}")]

    def answer(self, name: str, *answers) -> None:
        self.server.answers[f"/store/{name}"] = list(answers)

    def asked(self) -> list[str]:
        return [path.removeprefix(BASE) for path in self.server.asked() if path.startswith(BASE)]


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(package, "_VERSIONED_PATH", str(tmp_path / "hf-objaverse-v1"))


@pytest.fixture
def tiny(loopback, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{loopback.url}/")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    tiny = Tiny(loopback, tmp_path / "hf-objaverse-v1")
    tiny.publish()
    return tiny


def ids(fetched) -> list[str]:
    return [asset.id for asset in fetched.assets]


def reasons(failures) -> list[tuple[str, str]]:
    return [(failure.id, failure.reason) for failure in failures]


def first_apple(tiny) -> int:
    return int(objaverse.objects(["apple"], 1, seed=7).assets[0].path.stem, 16)


def test_objects_have_credits_and_are_stored_in_the_cache_of_the_package(tiny):
    fetched = objaverse.objects(["apple", "cup"], 10, seed=0)
    assert sorted(ids(fetched)) == sorted([f"apple/{uid(n)}" for n in (0, 1, 2)] + [f"cup/{uid(n)}" for n in (3, 4, 5)])
    assert fetched.failures == []
    assert fetched.replaced == []
    asset = next(asset for asset in fetched.assets if asset.id == f"cup/{uid(4)}")
    assert asset.title == "Thing 4"
    assert asset.author == "Ann Artist"
    assert asset.licence == "CC-BY-4.0"
    assert asset.url == f"https://sketchfab.com/3d-models/{uid(4)}"
    assert asset.path.read_bytes() == glb("mug", 4)
    assert asset.sha256 == objaverse_cache.Digests().sha256(asset.path)
    assert package.load_objects([uid(4)]) == {uid(4): str(asset.path)}


def test_cached_files_are_not_requested_and_offline_gives_the_same(tiny):
    fetched = objaverse.objects(["cup", "apple"], 2, seed=1)
    assert len(tiny.asked()) == len(set(tiny.asked()))
    before = len(tiny.asked())
    assert objaverse.objects(["cup", "apple"], 2, seed=1) == fetched
    tiny.server.close()
    assert objaverse.objects(["cup", "apple"], 2, seed=1, offline=True) == fetched
    assert len(tiny.asked()) == before


def test_the_choice_depends_only_on_seed_and_uids(tiny):
    choices = {seed: ids(objaverse.objects(["apple", "cup"], 1, seed=seed)) for seed in range(12)}
    assert len({tuple(choice) for choice in choices.values()}) > 1
    for seed, choice in choices.items():
        assert ids(objaverse.objects(["cup", "apple"], 1, seed=seed)) == choice[::-1]
        assert ids(objaverse.objects(["apple", "cup"], 3, seed=seed))[::3] == choice


def test_only_the_needed_metadata_files_are_fetched(tiny):
    first_apple(tiny)
    assert len([name for name in tiny.asked() if name.startswith("metadata/")]) == 1


def test_an_object_that_is_gone_is_replaced_by_the_next(tiny):
    gone = first_apple(tiny)
    (tiny.root / tiny.path(gone)).unlink()
    tiny.answer(tiny.path(gone), lambda reply: reply.send(404))
    fetched = objaverse.objects(["apple"], 1, seed=7)
    assert reasons(fetched.failures) == [(f"apple/{uid(gone)}", "http-404")]
    assert len(fetched.assets) == 1
    assert fetched.assets[0].id != f"apple/{uid(gone)}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<html>please log in</html>", "wrong-content"),
        (b"", "wrong-content"),
        (b"glTF" + struct.pack("<II", 2, 1000) + b"too short", "wrong-content"),
        (b"glTF" + struct.pack("<II", 2, 10_000_000) + bytes(10_000_000 - 12), "too-large"),
    ],
    ids=["a page", "empty", "shorter than its header says", "too large"],
)
def test_a_file_that_is_no_glb_or_too_large_is_replaced_by_the_next(content, reason, tiny, monkeypatch):
    bad = first_apple(tiny)
    (tiny.root / tiny.path(bad)).unlink()
    tiny.serve(tiny.path(bad), content)
    expected = download.Expected(limit=9_000_000, check=objaverse_cache.glb_fault)
    monkeypatch.setattr(objaverse_cache, "_GLB", expected)
    fetched = objaverse.objects(["apple"], 3, seed=7)
    assert reasons(fetched.failures) == [(f"apple/{uid(bad)}", reason)]
    assert len(fetched.assets) == 3
    assert not (tiny.root / tiny.path(bad)).exists()


def test_temporary_faults_are_retried(tiny):
    content = tiny.server.files[f"/store/{tiny.path(4)}"]
    tiny.answer("lvis-annotations.json.gz", lambda reply: reply.send(500), lambda reply: reply.file())
    tiny.answer("metadata/000-000.json.gz", lambda reply: reply.send(429, Retry_After="1"), lambda reply: reply.file())
    tiny.answer(
        tiny.path(4), lambda reply: reply.send(200, content[:999], claim=len(content)), lambda reply: reply.file()
    )
    fetched = objaverse.objects(["cup"], 3, seed=0)
    assert len(fetched.assets) == 3
    assert fetched.failures == []


@pytest.mark.parametrize("damage", [b"", b"glTF\2\0\0\0"], ids=["empty", "truncated"])
def test_a_damaged_object_in_the_cache_is_replaced_and_reported(damage, tiny):
    asset = objaverse.objects(["apple"], 1, seed=7).assets[0]
    asset.path.write_bytes(damage)
    with pytest.raises(SourceError, match="1 × damaged"):
        objaverse.objects(["apple"], 1, seed=7, offline=True)
    fetched = objaverse.objects(["apple"], 1, seed=7)
    assert fetched.assets == [asset]
    assert reasons(fetched.replaced) == [(str(asset.path.relative_to(tiny.root)), "damaged")]


@pytest.mark.parametrize("name", ["lvis-annotations.json.gz", "object-paths.json.gz", "metadata/000-000.json.gz"])
@pytest.mark.parametrize("damage", [b"", b"\x1f\x8b\x08half", b"<html>"], ids=["empty", "cut", "a page"])
def test_a_damaged_table_in_the_cache_is_replaced_and_reported(name, damage, tiny):
    objaverse.objects(["apple"], 3, seed=0)
    (tiny.root / name).write_bytes(damage)
    fetched = objaverse.objects(["apple"], 3, seed=0)
    assert len(fetched.assets) == 3
    assert reasons(fetched.replaced) == [(name, "damaged")]


def test_a_gzip_file_that_is_no_table_is_an_error(tiny):
    tiny.serve("lvis-annotations.json.gz", gzip.compress(b"hello"))
    with pytest.raises(SourceError, match=r"lvis-annotations\.json\.gz is not Objaverse's table.*delete it"):
        objaverse.objects(["apple"], 1, seed=0)


def test_only_files_that_the_cache_lacks_are_fetched(tiny):
    """Files in an existing cache with the layout of the package are used, the others are fetched."""
    for name, content in tiny.server.files.items():
        if "000-000" not in name:
            path = tiny.root / name.removeprefix("/store/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    offline = objaverse.objects(["apple", "cup"], 3, seed=0, offline=True)
    assert sorted(ids(offline)) == sorted([f"apple/{uid(1)}", f"cup/{uid(3)}", f"cup/{uid(5)}"])
    assert {reason for _, reason in reasons(offline.failures)} == {"not-cached"}
    assert tiny.asked() == []
    objaverse.objects(["apple", "cup"], 3, seed=0)
    assert sorted(tiny.asked()) == sorted(["metadata/000-000.json.gz", *[tiny.path(n) for n in (0, 2, 4)]])


def test_offline_without_a_cache_is_an_error(tiny):
    with pytest.raises(SourceError, match="is not in the cache, and is not fetched offline"):
        objaverse.objects(["apple"], 1, seed=0, offline=True)


def test_licences_are_filtered(tiny):
    tiny.licences = {0: "by-nc", 1: "cc0", 2: "by-nc-sa", 4: "by-sa", 5: "unheard-of"}
    tiny.publish()
    assert sorted(ids(objaverse.objects(["apple", "cup"], 9, seed=0))) == sorted(
        [f"apple/{uid(1)}", f"cup/{uid(3)}", f"cup/{uid(4)}"]
    )
    everything = objaverse.objects(["apple", "cup"], 9, seed=0, licences=LICENCES.values())
    assert {asset.licence for asset in everything.assets} == set(LICENCES.values())
    with pytest.raises(SourceError, match=r"no object of the category 'cup'.*3 × not under CC0-1\.0"):
        objaverse.objects(["apple", "cup"], 9, seed=0, licences=["CC0-1.0"])
    with pytest.raises(SourceError, match=r"no object has the licence 'CC-BY-9'; choose among CC-BY-4\.0"):
        objaverse.objects(["apple"], 9, seed=0, licences=["CC-BY-9"])


def test_an_object_without_file_or_metadata_is_a_failure(tiny):
    tiny.lvis["apple"] += [uid(99), "../../evil"]
    tiny.publish()
    paths = {uid(99): "../../evil.glb", "../../evil": "glbs/000-000/../../evil.glb"}
    paths |= {uid(n): tiny.path(n) for n in range(6)}
    tiny.serve("object-paths.json.gz", gzip.compress(json.dumps(paths).encode()))
    metadata = tiny.metadata(0) | {name: tiny.metadata(0)[uid(0)] for name in (uid(99), "../../evil")}
    tiny.serve("metadata/000-000.json.gz", gzip.compress(json.dumps(metadata).encode()))
    fetched = objaverse.objects(["apple"], 9, seed=0)
    assert sorted(reasons(fetched.failures)) == [("apple/../../evil", "unlisted"), (f"apple/{uid(99)}", "unlisted")]
    assert len(fetched.assets) == 4


@pytest.mark.parametrize(("name", "hint"), [("aple", "apple"), ("mug", ""), ("cu", "cup"), ("tv", "television_set")])
def test_the_error_of_an_unknown_category_suggests_similar_names(name, hint, tiny):
    with pytest.raises(SourceError, match=f"no LVIS category '{name}'" + (f"; did you mean {hint}" if hint else "$")):
        objaverse.objects(["apple", name], 1, seed=0)


def test_an_error_names_a_category_without_objects(tiny):
    for number in (3, 4, 5):
        tiny.answer(tiny.path(number), lambda reply: reply.send(404))
    with pytest.raises(SourceError, match=r"category 'cup' can be used \(3 × http-404\)"):
        objaverse.objects(["cup", "apple"], 1, seed=0)


def test_an_unreachable_host_is_reported_once_and_a_later_run_resumes(tiny, monkeypatch):
    address = tiny.server.url
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="no connection"):
        objaverse.objects(["apple"], 4, seed=0)
    monkeypatch.setenv("HF_ENDPOINT", address)
    for number in range(4):
        tiny.answer(tiny.path(number), lambda reply: reply.send(503))
    with pytest.raises(SourceError, match=r"503.*the same command continues"):
        objaverse.objects(["apple"], 4, seed=0)
    for number in range(4):
        tiny.answer(tiny.path(number))
    assert len(objaverse.objects(["apple"], 4, seed=0).assets) == 4
    assert tiny.asked().count("lvis-annotations.json.gz") == 1


def test_progress_ends_at_the_total(tiny):
    seen = []
    objaverse.objects(["apple", "cup"], 2, seed=0, progress=lambda *step: seen.append(step))
    assert ("metadata", 2, 2) in seen
    assert seen[-1] == ("objects", 4, 4)


def test_the_objaverse_package_is_imported_only_when_needed():
    code = "import sys, objascale.cli, objascale.sources.objaverse; sys.exit('objaverse' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_changed_file_gets_a_new_digest(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"one")
    digests = objaverse_cache.Digests()
    first = digests.sha256(file)
    digests.save()
    assert objaverse_cache.Digests().knows(file)
    file.write_bytes(b"two!")
    assert not objaverse_cache.Digests().knows(file)
    assert objaverse_cache.Digests().sha256(file) != first
    (tmp_path / "cache/objascale/digests.json").write_text("{rubbish")
    assert objaverse_cache.Digests().sha256(file) != first


def test_the_default_categories_have_the_most_objects(shared):
    lvis = json.loads((shared / "assets/objaverse/lvis-annotations.json").read_text())
    names = default_categories(68)
    counts = [len(set(lvis[name])) for name in names]
    assert counts == sorted(counts, reverse=True)
    assert default_categories(3) == names[:3]
    for count in (0, 69):
        with pytest.raises(SourceError, match="there are 68"):
            default_categories(count)


def test_the_command_of_the_paper_fetches_and_renders(loopback, tmp_path, monkeypatch, run_objascale):
    """`objascale render --categories …` fetches and renders; a second run, offline, has nothing left to do."""
    home = tmp_path / "home"
    Tiny(loopback, home / ".objaverse/hf-objaverse-v1").publish()
    exr = (blender_datafiles() / "studiolights/world/city.exr").read_bytes()
    record = {"url": f"{loopback.url}/city.exr", "md5": hashlib.md5(exr).hexdigest(), "size": len(exr)}
    listing = {"city": {"name": "City", "authors": {"Greg Zaal": "All"}, "max_resolution": [8192, 4096]}}
    loopback.files["/assets?t=hdris"] = json.dumps(listing).encode()
    loopback.files["/files/city"] = json.dumps({"hdri": {"1k": {"exr": record}}}).encode()
    loopback.files["/city.exr"] = exr
    for name, value in {"HOME": home, "HF_ENDPOINT": loopback.url, "POLYHAVEN_API": loopback.url}.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(package, "_VERSIONED_PATH", str(home / ".objaverse/hf-objaverse-v1"))  # as in a new process
    out = tmp_path / "set"
    command = ["render", "--categories", "apple,cup", "--n", 4, "--n-hdris", 1, "--hdri-res", "1k"]
    command += ["--max-px", 512, "--max-area", 500, "--samples", 4, "--workers", 1]

    first = run_objascale(*command, "--out", out, env=os.environ)
    assert first.returncode == 0, first.stderr
    assert f"4 images in {out}" in first.stdout
    table = read_annotations(out)
    assert sorted(table.category) == ["apple", "apple", "cup", "cup"]
    assert table.asset_id.nunique() == 4
    assert set(table.author) == {"Ann Artist"}
    assert set(table.licence) == {"CC-BY-4.0"}
    credits = {credit["id"]: credit for credit in read_header(out)["credits"]}
    assert (credits["city"]["author"], credits["city"]["licence"]) == ("Greg Zaal", "CC0-1.0")

    asked = len(loopback.asked())
    again = run_objascale(*command, "--out", out)
    assert (again.returncode, "4 of 4 images exist already" in again.stderr) == (0, True), again.stderr
    elsewhere = run_objascale(*command, "--out", tmp_path / "other", "--offline")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert len(loopback.asked()) == asked
    for file in table.file:
        assert (out / file).read_bytes() == (tmp_path / "other" / file).read_bytes()

    plan = run_objascale("plan", "--categories", "appel")
    assert plan.returncode == 1
    assert "did you mean apple?" in plan.stderr
    gone = os.environ | {"HOME": str(tmp_path), "HF_ENDPOINT": "http://127.0.0.1:9"}
    nowhere = run_objascale(*command[:3], "--out", tmp_path / "x", env=gone)
    assert nowhere.returncode == 1
    assert "127.0.0.1" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr


def fetched_benchmark() -> Benchmark:
    """Return a benchmark of two apples out of three candidates, whose SHA-256 are pinned at the first download."""
    content = {
        "schema": 1,
        "name": "apples-v1",
        "about": "Apples.",
        "n": 2,
        "request": {
            "source": "objaverse",
            "categories": ["apple"],
            "per_category": 2,
            "licenses": ["CC-BY-4.0"],
            "seed": 0,
            "hdris": "blender",
        },
        "plan": PlanSettings().model_dump(),
        "render": RenderSettings().model_dump(),
        "objects": {},
        "maps": {asset.id: asset.sha256 for asset in embedded.environment_maps()},
        "candidates": {"apple": [uid(number) for number in (2, 0, 1)]},
        "pictures": [],
    }
    return Benchmark(BenchmarkContent.model_validate(content), json.dumps(content).encode())


def test_a_benchmark_takes_its_candidates_in_order_and_pins_their_files_at_the_first_download(tiny):
    tiny.licences[2] = "by-nc"
    tiny.publish()
    benchmark = fetched_benchmark()
    objects, maps = find_assets(benchmark)
    assert [asset.path.stem for asset in objects] == [uid(0), uid(1)]
    assert len(maps) == 8
    assert json.loads(lock_path(benchmark).read_text())["objects"] == {asset.id: asset.sha256 for asset in objects}
    assert "lvis-annotations.json.gz" not in tiny.asked()
    tiny.licences[2] = "by"
    tiny.publish()
    assert find_assets(benchmark, offline=True)[0] == objects


def test_a_second_download_of_other_bytes_is_refused_by_name(tiny):
    benchmark = fetched_benchmark()
    first, _ = find_assets(benchmark)[0]
    first.path.unlink()
    tiny.serve(tiny.path(2), glb("mug", 9))
    with pytest.raises(SourceError, match=f"apple/{uid(2)} is not the file that apples-v1 pins"):
        find_assets(benchmark)
    first.path.unlink()
    tiny.answer(tiny.path(2), lambda reply: reply.send(404))
    with pytest.raises(SourceError, match=f"needs 1 assets that its source does not have, such as apple/{uid(2)}"):
        find_assets(benchmark)


def test_a_damaged_lock_is_refused_in_one_sentence(tiny):
    benchmark = fetched_benchmark()
    lock_path(benchmark).parent.mkdir(parents=True)
    lock_path(benchmark).write_text("{")
    with pytest.raises(SourceError, match=r"apples-v1\.lock\.json, which pins the assets of apples-v1, is damaged"):
        find_assets(benchmark)


def test_the_candidates_of_the_benchmark_are_those_of_the_real_table(shared):
    table = json.loads((shared / "assets/objaverse/lvis-annotations.json").read_text())
    content = load_benchmark("objascale-1k-v1").content
    for category, uids in content.candidates.items():
        assert set(uids) <= set(table[category])
    assert len(content.candidates) == 68
    assert len(content.maps) == 40
