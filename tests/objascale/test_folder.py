"""Objects and environment maps from folders, with and without a catalogue."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from objascale.rendering import describe
from objascale.sources import SourceError, folder


@pytest.fixture
def things(tmp_path) -> Path:
    """Write a cat in a folder of its category, and two objects at the top level."""
    (tmp_path / "cat").mkdir()
    for name in ("cat/tom.glb", "rex.GLB", "puss.obj"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "cat/notes.txt").write_text("no object")
    return tmp_path


def catalogue(things: Path, *lines: str, header: str = "file,category,title,author,licence,url") -> None:
    (things / "list.csv").write_text("\n".join([header, *lines]) + "\n")


def test_without_a_catalogue_the_folders_are_the_categories(things):
    (asset,) = folder.objects(things)
    assert (asset.id, asset.category, asset.title, asset.licence) == ("cat/tom", "cat", "", "")


def test_a_catalogue_gives_credits_and_categories_of_objects_at_the_top_level(things):
    catalogue(things, "tom.glb,cat,Tom,Ann,CC0-1.0,https://example.org", "rex.GLB,dog,,,,", "./puss,cat,Puss,Bob,,")
    puss, tom, rex = folder.objects(things)
    assert (tom.id, tom.title, tom.author, tom.licence, tom.url) == (
        *("cat/tom", "Tom", "Ann", "CC0-1.0"),
        "https://example.org",
    )
    assert (rex.id, rex.category, rex.path, rex.author) == ("dog/rex", "dog", things / "rex.GLB", "")
    assert (puss.id, puss.author) == ("cat/puss", "Bob")


@pytest.mark.parametrize("name", ["tom", "tom.glb", "cat/tom", "cat/tom.glb"])
def test_a_catalogue_may_name_a_file_in_four_ways(name, things):
    catalogue(things, f"cat,{name},Tom,Ann,CC0,here", header="category,file,title,creator,license,source")
    (asset,) = folder.objects(things)
    assert (asset.id, asset.author, asset.licence, asset.url) == ("cat/tom", "Ann", "CC0", "here")


def test_a_catalogue_needs_only_file_and_category(things):
    catalogue(things, "rex.GLB,dog", header="file,category")
    assert [asset.id for asset in folder.objects(things)] == ["cat/tom", "dog/rex"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tim.glb,cat", r"list\.csv, line 2: there is no object 'tim\.glb' in .*cat"),
        ("../tom.glb,cat", "there is no object"),
        ("cat/notes.txt,cat", "there is no object"),
        (",cat", "there is no object"),
        ("cat/tom.glb,dog", r"cat/tom\.glb is not in the category 'dog'"),
        ("rex.GLB,", r"rex\.GLB is not in the category ''"),
        ("tom.glb,cat\ncat/tom,cat", r"line 3: .*tom\.glb is listed twice"),
    ],
)
def test_an_error_names_a_wrong_row(line, message, things):
    catalogue(things, line, header="file,category")
    with pytest.raises(SourceError, match=message):
        folder.objects(things)


@pytest.mark.parametrize("content", [b"", b"kind,name\ncat,tom\n", b"file,category\n\xff\xfe,cat\n", b'a,"b\n"c'])
def test_an_error_names_a_file_that_is_no_catalogue(content, things):
    (things / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"list\.csv is not a catalogue"):
        folder.objects(things)


def put(folder: Path, *names: str | bytes) -> None:
    """Make files, each with its name as content."""
    for name in names:
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name))


def test_a_folder_with_one_object_file_is_an_object_with_the_name_of_the_folder(tmp_path):
    put(tmp_path, "cat/tom/scene.gltf", "cat/tom/scene.bin", "cat/tom/textures/fur.png", "cat/rex.glb")
    put(tmp_path, "dog/two/left.obj", "dog/two/right.obj", "dog/deep/er/scene.glb")
    assert [(asset.id, asset.path.name) for asset in folder.objects(tmp_path)] == [
        ("cat/rex", "rex.glb"),
        ("cat/tom", "scene.gltf"),
        ("dog/two/left", "left.obj"),
        ("dog/two/right", "right.obj"),
    ]


@pytest.mark.parametrize("name", ["tom", "cat/tom", "tom/scene.gltf", "cat/tom/scene", "TOM/Scene.GLTF"])
def test_a_catalogue_may_name_the_folder_of_an_object(name, tmp_path):
    put(tmp_path, "cat/tom/scene.gltf")
    catalogue(tmp_path, f"cat,{name},Ann", header="category,file,author")
    (asset,) = folder.objects(tmp_path)
    assert (asset.id, asset.author) == ("cat/tom", "Ann")


def test_hidden_files_are_ignored(tmp_path):
    put(tmp_path, "cat/tom.glb", "cat/._tom.glb", ".cache/rex.glb", "cat/.old/scene.glb", "__MACOSX/cat/._tom.glb")
    assert [asset.id for asset in folder.objects(tmp_path)] == ["cat/tom"]


def test_names_match_across_unicode_forms_and_case(tmp_path):
    decomposed, composed = "cafe\u0301", "caf\u00e9"
    put(tmp_path, f"{decomposed}/{decomposed}.glb", f"{composed}/Bar.glb")
    lines = f"{composed.upper()}.glb,{composed},Ann", f"bar,{decomposed},Bob"
    catalogue(tmp_path, *lines, header="file,category,author")
    found = {asset.id: asset.author for asset in folder.objects(tmp_path)}
    assert set(found.values()) == {"Ann", "Bob"}
    (tmp_path / "list.csv").unlink()
    assert [asset.id for asset in folder.objects(tmp_path)] == [f"{composed}/Bar", f"{composed}/{composed}"]


def test_names_that_differ_only_in_case_must_match_exactly(tmp_path):
    put(tmp_path, "cat/Tom.glb", "cat/tom.glb")
    catalogue(tmp_path, "tom.glb,cat,Ann", header="file,category,author")
    assert {asset.path.name: asset.author for asset in folder.objects(tmp_path)} == {"Tom.glb": "", "tom.glb": "Ann"}
    catalogue(tmp_path, "TOM.glb,cat,Ann", header="file,category,author")
    with pytest.raises(SourceError, match=r"line 2: there is no object 'TOM\.glb'"):
        folder.objects(tmp_path)


def test_a_name_that_is_not_utf8_costs_one_object(tmp_path, caplog):
    put(tmp_path, b"cat/t\xf6m.glb", "cat/rex.glb")
    assert [asset.id for asset in folder.objects(tmp_path)] == ["cat/rex"]
    assert r"t\xf6m.glb is not UTF-8; rename it. The object is left out" in caplog.text


def test_the_error_of_a_folder_without_objects_names_layouts_and_suffixes(tmp_path):
    put(tmp_path, "cat/tom.blend")
    with pytest.raises(SourceError, match=r"CATEGORY/NAME\.glb or CATEGORY/NAME/scene\.gltf .* \.glb \.gltf .* \.stl$"):
        folder.objects(tmp_path)
    put(tmp_path, "tom.glb", "rex.glb")
    with pytest.raises(SourceError, match=r"2 such files lie in .* itself, which takes a catalogue"):
        folder.objects(tmp_path)


def test_empty_folders_are_errors(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        folder.objects(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="no objects in"):
        folder.objects(tmp_path)
    with pytest.raises(SourceError, match="no environment maps"):
        folder.environment_maps(tmp_path)


def test_two_files_of_one_name_are_an_error(things):
    (things / "cat/tom.obj").write_text("v 0 0 0")
    with pytest.raises(SourceError, match="share the name cat/tom"):
        folder.objects(things)


def test_real_objects_are_credited(shared):
    found = folder.objects(shared / "assets/objects")
    assert len(found) == 50
    assert all(asset.licence and asset.title and asset.author and asset.url for asset in found)


def test_maps_of_one_stem_are_distinct_and_a_single_file_is_accepted(shared):
    found = folder.environment_maps(shared / "faults/models/maps")
    assert [asset.id for asset in found] == ["park.exr", "park.hdr"]
    (one,) = folder.environment_maps(shared / "faults/models/maps/park.hdr")
    assert one.id == "park"


def test_a_map_of_low_dynamic_range_under_another_suffix_needs_its_option(shared, tmp_path):
    Image.new("RGB", (16, 8)).save(tmp_path / "sky.hdr", "PNG")
    with pytest.raises(SourceError, match=r"sky\.hdr holds a picture of low dynamic range; give --ldr-maps"):
        folder.environment_maps(tmp_path)
    (low,) = folder.environment_maps(tmp_path, ldr=True)
    shutil.copy(shared / "faults/models/maps/park.exr", tmp_path / "park.png")
    (high, _) = folder.environment_maps(tmp_path, ldr=True)
    assert describe({}, [], [low, high])["ldr_maps"] == ["sky"]


def test_a_damaged_map_is_reported_and_left_out(shared, tmp_path, caplog):
    content = (shared / "faults/models/maps/park.exr").read_bytes()
    (tmp_path / "cut.exr").write_bytes(content[:700])
    with pytest.raises(SourceError, match=r"no usable environment map.*cut\.exr"):
        folder.environment_maps(tmp_path)
    (tmp_path / "whole.exr").write_bytes(content)
    assert [asset.id for asset in folder.environment_maps(tmp_path)] == ["whole"]
    assert "cut.exr is" in caplog.text or "cut.exr cannot" in caplog.text
