"""Environment maps of Poly Haven, from a local server with its API and with faults, and from the cache."""

from __future__ import annotations

import hashlib
import json

import pytest

from objascale import download
from objascale.color import blender_datafiles
from objascale.files import cache_folder
from objascale.maps import load_map
from objascale.sources import SourceError
from objascale.sources.polyhaven import environment_maps, named_maps

SLUGS = ("abandoned_bakery", "kiara_1_dawn", "noon_grass", "old_hall", "zwinger_night")
WIDTHS = dict(zip(SLUGS, (16384, 8192, 4096, 2048, 16384), strict=True))


class Haven:
    """A server of five 1k maps (real EXRs that differ in the last byte) with the API of Poly Haven."""

    def __init__(self, server) -> None:
        self.server = server
        exr = (blender_datafiles() / "studiolights/world/city.exr").read_bytes()
        self.maps = {slug: exr + slug.encode() for slug in SLUGS}
        listing = {
            slug: {
                "name": slug.replace("_", " ").title(),
                "type": 0,
                "authors": {"Greg Zaal": "Photography", "Ann": "Processing"},
                "max_resolution": [WIDTHS[slug], WIDTHS[slug] // 2],
                "files_hash": hashlib.sha1(slug.encode()).hexdigest(),
            }
            for slug in SLUGS
        }
        server.files["/assets?t=hdris"] = json.dumps(listing).encode()
        for slug in SLUGS:
            self.describe(slug)

    def describe(self, slug: str, **lies: object) -> None:
        content = self.maps[slug]
        record = {
            "url": f"{self.server.url}/file/{slug}_1k.exr",
            "md5": hashlib.md5(content).hexdigest(),
            "size": len(content),
        }
        self.server.files[f"/files/{slug}"] = json.dumps({"hdri": {"1k": {"exr": record | lies}}}).encode()
        self.server.files[f"/file/{slug}_1k.exr"] = content

    def answer(self, path: str, *answers) -> None:
        self.server.answers[path] = list(answers)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def haven(loopback, monkeypatch):
    monkeypatch.setenv("POLYHAVEN_API", f"{loopback.url}/")
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    return Haven(loopback)


def names(maps) -> list[str]:
    return [asset.id for asset in maps]


def test_maps_have_credits_and_can_be_read(haven, tmp_path):
    maps = environment_maps(5, "1k", seed=0)
    assert sorted(names(maps)) == sorted(SLUGS)
    asset = next(asset for asset in maps if asset.id == "kiara_1_dawn")
    assert asset.title == "Kiara 1 Dawn"
    assert asset.author == "Greg Zaal, Ann"
    assert asset.licence == "CC0-1.0"
    assert asset.url == "https://polyhaven.com/a/kiara_1_dawn"
    assert asset.category == ""
    assert asset.path == tmp_path / "cache/objascale/polyhaven/1k/kiara_1_dawn.exr"
    assert asset.sha256 == hashlib.sha256(haven.maps["kiara_1_dawn"]).hexdigest()
    assert load_map(asset.path, tmp_path).texels.shape[2] == 3


def test_every_request_has_the_user_agent_of_objascale(haven):
    environment_maps(2, "1k", seed=0)
    assert {request.headers["User-Agent"] for request in haven.server.requests} == {"objascale-suite"}


def test_cached_files_are_not_requested_and_offline_gives_the_same(haven):
    maps = environment_maps(3, "1k", seed=4)
    asked = haven.server.asked()
    assert len(asked) == len(set(asked)) == 1 + 2 * 3
    assert environment_maps(3, "1k", seed=4) == maps
    haven.server.close()
    assert environment_maps(3, "1k", seed=4, offline=True) == maps
    assert haven.server.asked() == asked


def test_the_choice_depends_only_on_seed_and_slugs(haven):
    orders = {seed: names(environment_maps(5, "1k", seed=seed)) for seed in range(8)}
    assert len({tuple(order) for order in orders.values()}) > 1
    for seed, order in orders.items():
        assert names(environment_maps(2, "1k", seed=seed)) == order[:2]


def test_only_large_enough_maps_are_candidates(haven):
    with pytest.raises(SourceError, match="lists 3 maps of 8k, fewer than the requested 4"):
        environment_maps(4, "8k", seed=0)
    with pytest.raises(SourceError, match="lists 5 maps of 1k"):
        environment_maps(6, "1k", seed=0)
    with pytest.raises(SourceError, match=r"'3k'; choose among 1k, 2k"):
        environment_maps(1, "3k", seed=0)


@pytest.mark.parametrize("fault", ["404", "wrong md5", "wrong size", "no exr", "rubbish"])
def test_a_map_that_fails_to_download_is_reported_and_replaced(fault, haven, caplog):
    bad, *good = names(environment_maps(5, "1k", seed=2))
    for name in (f"1k/{bad}.exr", f"files/{bad}.json"):
        (cache_folder() / "polyhaven" / name).unlink()
    match fault:
        case "404":
            haven.answer(f"/file/{bad}_1k.exr", lambda reply: reply.send(404))
        case "wrong md5":
            haven.describe(bad, md5="0" * 32)
        case "wrong size":
            haven.describe(bad, size=5)
        case "no exr":
            haven.server.files[f"/files/{bad}"] = json.dumps({"hdri": {"1k": {"hdr": {}}}}).encode()
        case "rubbish":
            haven.server.files[f"/files/{bad}"] = b"<html>"
    assert names(environment_maps(2, "1k", seed=2)) == good[:2]
    assert bad in caplog.text
    with pytest.raises(SourceError, match=rf"only 4 of 5 maps of 1k could be fetched.*{bad}"):
        environment_maps(5, "1k", seed=2)


def test_temporary_faults_are_retried(haven):
    content = haven.maps["old_hall"]
    haven.answer("/assets?t=hdris", lambda reply: reply.send(500), lambda reply: reply.file())
    haven.answer("/files/old_hall", lambda reply: reply.send(429, Retry_After="1"), lambda reply: reply.file())
    haven.answer(
        "/file/old_hall_1k.exr",
        lambda reply: reply.send(200, content[:999], claim=len(content)),
        lambda reply: reply.file(),
    )
    assert len(environment_maps(5, "1k", seed=0)) == 5


def test_a_damaged_map_in_the_cache_is_replaced(haven):
    (asset,) = environment_maps(1, "1k", seed=0)
    whole = asset.path.read_bytes()
    asset.path.write_bytes(whole[:100])
    with pytest.raises(SourceError, match=r"only 0 of 1 maps"):
        environment_maps(1, "1k", seed=0, offline=True)
    assert environment_maps(1, "1k", seed=0) == [asset]
    assert asset.path.read_bytes() == whole


def test_a_map_that_changed_on_the_server_is_fetched_in_the_next_run(haven):
    (asset,) = environment_maps(1, "1k", seed=0)
    asset.path.unlink()
    haven.maps[asset.id] += b"newer"
    haven.describe(asset.id)
    assert names(environment_maps(1, "1k", seed=0)) != [asset.id]
    assert names(environment_maps(1, "1k", seed=0)) == [asset.id]


def test_an_unreachable_host_is_an_error(haven, monkeypatch):
    monkeypatch.setenv("POLYHAVEN_API", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match=r"no connection.*the same command continues"):
        environment_maps(1, "1k", seed=0)
    with pytest.raises(SourceError, match="is not fetched offline"):
        environment_maps(1, "1k", seed=0, offline=True)


@pytest.mark.parametrize("listing", [b"<html>", b"[]"])
def test_a_malformed_listing_is_an_error(listing, haven):
    haven.server.files["/assets?t=hdris"] = listing
    with pytest.raises(SourceError, match="that is not the expected one: it is not"):
        environment_maps(1, "1k", seed=0)


def test_malformed_entries_are_left_out(haven):
    listing = json.loads(haven.server.files["/assets?t=hdris"])
    listing |= {"../../evil": listing["old_hall"], "odd": 7, "odder": {"max_resolution": "large"}}
    haven.server.files["/assets?t=hdris"] = json.dumps(listing).encode()
    assert sorted(names(environment_maps(5, "1k", seed=0))) == sorted(SLUGS)
    with pytest.raises(SourceError, match="lists 5 maps"):
        environment_maps(6, "1k", seed=0)


def test_progress_counts_maps(haven):
    seen = []
    environment_maps(3, "1k", seed=0, progress=lambda *step: seen.append(step))
    assert seen == [("environment maps", n, 3) for n in (1, 2, 3)]


def test_maps_are_fetched_by_name_in_the_order_of_the_names(haven):
    found = named_maps(["zwinger_night", "kiara_1_dawn"], "1k")
    assert [asset.id for asset in found] == ["zwinger_night", "kiara_1_dawn"]
    assert [asset.id for asset in named_maps(["kiara_1_dawn"], "1k", offline=True)] == ["kiara_1_dawn"]


def test_a_named_map_that_is_missing_is_not_replaced(haven):
    with pytest.raises(SourceError, match="Poly Haven has no map nowhere of 1k"):
        named_maps(["nowhere"], "1k")
    haven.answer("/file/noon_grass_1k.exr", lambda reply: reply.send(404))
    with pytest.raises(SourceError, match="noon_grass"):
        named_maps(["noon_grass"], "1k")
