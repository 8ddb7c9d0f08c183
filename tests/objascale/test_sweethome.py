"""Furniture libraries: small ones built here, damaged ones, and those of the Debian package if it is installed."""

from __future__ import annotations

import multiprocessing
import zipfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objascale.files import cache_folder
from objascale.sources import SourceError, sweethome
from objascale.sources.properties import parse_properties

INSTALLED = Path("/usr/share/sweethome3d/furniture")
CUBE = "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n"
LIBRARY = {
    "PluginFurnitureCatalog.properties": (
        "# a comment\nname=Small\nlicense=Free as  air\\u2122\nprovider=example.org\n\n"
        "id#1=Ann#small chair\nname#1=Chaise longue \\u00e9l\\\n   \\u00e9gante\ncategory#1=Living room\n"
        "model#1=/ann/chair/chair.obj\ncreator#1=Ann\n"
        "name#2=Lamp\ncategory#2=Lights\nmodel#2=ann/lamp.OBJ\ncreator#2=Bob\nlicense#2=CC0\n"
        "id#10=Ann#Small-Chair\nname#10=Its twin\ncategory#10=Living room\nmodel#10=/ann/lamp.OBJ\n"
        "id#11=Ann#boat\nname#11=Boat\ncategory#11=Vehicles\nmodel#11=/ann/boat.dae\n"
    ),
    "PluginFurnitureCatalog_fr.properties": "name#1=Autre\n",
    "ann/chair/chair.obj": "mtllib chair.mtl\n" + CUBE,
    "ann/chair/chair.mtl": "newmtl wood\nmap_Kd wood.png\n",
    "ann/chair/wood.png": "picture",
    "ann/lamp.OBJ": CUBE,
    "ann/boat.dae": "<xml/>",
}


def build(path: Path, files: dict[str, str] = LIBRARY) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def unpacked() -> list[Path]:
    folder = cache_folder() / "sweethome3d"
    return list(folder.iterdir()) if folder.is_dir() else []


def test_pieces_have_credits_and_files(tmp_path):
    chair, lamp = sweethome.objects(build(tmp_path / "small.sh3f"))
    assert (chair.id, chair.category, chair.title) == (
        "living_room/ann_small_chair",
        "living_room",
        "Chaise longue élégante",
    )
    assert (chair.author, chair.licence, chair.url) == ("Ann", "Free as air™", "example.org")
    assert chair.path.read_text() == LIBRARY["ann/chair/chair.obj"]
    assert chair.path.with_name("wood.png").read_text() == "picture"
    assert (lamp.id, lamp.author, lamp.licence) == ("lights/small_2", "Bob", "CC0")


def test_a_library_is_unpacked_once_for_its_content(tmp_path):
    library = build(tmp_path / "small.sh3f")
    assets = sweethome.objects(library)
    (root,) = unpacked()
    times = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    library.rename(tmp_path / "other name.sh3f")
    assert [asset.path for asset in sweethome.objects(tmp_path)] == [asset.path for asset in assets]
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == times


def test_a_folder_of_libraries_is_read(tmp_path):
    build(tmp_path / "a.sh3f")
    files = dict(LIBRARY)
    files["PluginFurnitureCatalog.properties"] = "id#1=Bob#chair\nmodel#1=/ann/chair/chair.obj\n"
    build(tmp_path / "b.sh3f", files)
    assert [asset.id for asset in sweethome.objects(tmp_path)] == [
        "living_room/ann_small_chair",
        "lights/a_2",
        "miscellaneous/bob_chair",
    ]


def test_the_licence_file_fills_gaps_of_the_catalogue(tmp_path):
    files = dict(LIBRARY)
    files["PluginFurnitureCatalog.properties"] = "model#1=/ann/lamp.OBJ\n"
    (silent,) = sweethome.objects(build(tmp_path / "silent.sh3f", files))
    assert silent.licence == ""
    files["LICENSE.TXT"] = "LICENSE\n\nAll   yours.\n" + "word " * 1000
    (told,) = sweethome.objects(build(tmp_path / "told.sh3f", files))
    assert told.licence.startswith("LICENSE All yours. word")
    assert len(told.licence) == 200


@pytest.mark.parametrize("name", ["../evil", "/evil", "ann/../../evil", "ann\\..\\..\\evil"])
def test_a_library_that_writes_outside_its_folder_is_refused(name, tmp_path):
    library = build(tmp_path / "evil.sh3f", LIBRARY | {name: "evil"})
    with pytest.raises(SourceError, match="would be outside its folder"):
        sweethome.objects(library)
    assert unpacked() == []
    assert not list(tmp_path.rglob("evil"))


def test_a_model_outside_the_library_is_not_read(tmp_path):
    (tmp_path / "secret.obj").write_text(CUBE)
    catalogue = {"PluginFurnitureCatalog.properties": "model#1=/../../../../secret.obj\n"}
    with pytest.raises(SourceError, match="which is missing"):
        sweethome.objects(build(tmp_path / "a.sh3f", catalogue))


def test_a_zip_bomb_is_refused_before_unpacking(tmp_path, monkeypatch):
    library = build(tmp_path / "bomb.sh3f", LIBRARY | {"zeros": "0" * 5_000_000})
    assert library.stat().st_size < 20_000
    monkeypatch.setattr(sweethome, "MAX_UNPACKED_BYTES", 4_000_000)
    with pytest.raises(SourceError, match=r"too large: 8 files of 5,000,\d+ bytes"):
        sweethome.objects(library)
    monkeypatch.setattr(sweethome, "MAX_UNPACKED_BYTES", 4 << 30)
    monkeypatch.setattr(sweethome, "MAX_FILES", 7)
    with pytest.raises(SourceError, match="too large"):
        sweethome.objects(library)
    assert unpacked() == []


@pytest.mark.parametrize("damage", ["cut", "changed", "no zip", "empty"])
def test_a_broken_library_leaves_no_files(damage, tmp_path):
    library = build(tmp_path / "a.sh3f", LIBRARY | {"noise": "".join(map(chr, range(32, 127))) * 50})
    content = library.read_bytes()
    where = content.index(b"noise") + 20
    library.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "changed": content[:where] + bytes(b ^ 255 for b in content[where : where + 8]) + content[where + 8 :],
            "no zip": b"<html>",
            "empty": b"",
        }[damage]
    )
    with pytest.raises(SourceError, match=r"a\.sh3f cannot be unpacked"):
        sweethome.objects(library)
    assert unpacked() == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme": "hello"}, "it has no PluginFurnitureCatalog"),
        ({"PluginFurnitureCatalog.properties": "name=Empty"}, "lists no models"),
        ({"PluginFurnitureCatalog.properties": "model#1=/ann/gone.obj"}, r"piece 1 is the model ann/gone\.obj, which"),
    ],
)
def test_a_zip_that_is_no_library_is_an_error(files, message, tmp_path):
    with pytest.raises(SourceError, match=message):
        sweethome.objects(build(tmp_path / "a.sh3f", files))


def test_a_folder_without_libraries_is_an_error(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere.sh3f"):
        with pytest.raises(SourceError, match="no furniture library at"):
            sweethome.objects(path)


def _paths(library: Path) -> list[Path]:
    return [asset.path for asset in sweethome.objects(library)]


def test_processes_may_unpack_the_same_library_at_the_same_time(tmp_path):
    library = build(tmp_path / "small.sh3f", LIBRARY | {f"more/{number}": "x" * 1000 for number in range(300)})
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:  # forks of many threads may block
        results = list(pool.map(_paths, [library] * 3))
    assert results == [_paths(library)] * 3
    assert len(unpacked()) == 1


def test_the_installed_libraries():
    if not INSTALLED.is_dir():
        pytest.skip("needs the Debian package sweethome3d-furniture")
    found = sweethome.objects(INSTALLED)
    assert len(found) > 800
    assert all(asset.title and asset.author and asset.licence for asset in found)
    assert Counter(asset.category for asset in found)["living_room"] > 100
    assert any("© 2003-2008 Andrew Kator" in asset.licence for asset in found)


# ---- Java's properties


def stored(text: str, *, key: bool) -> str:
    """Escape a text as java.util.Properties.store does."""
    special = "\\=:#!" + (" " if key else "")
    named = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
    out = []
    for place, character in enumerate(text):
        if character in named:
            out.append(named[character])
        elif character in special or (character == " " and place == 0):
            out.append("\\" + character)
        elif " " <= character <= "~":
            out.append(character)
        else:
            units = character.encode("utf-16-be")
            out += [f"\\u{units[i]:02X}{units[i + 1]:02x}" for i in range(0, len(units), 2)]
    return "".join(out)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"))))
def test_properties_stored_by_java_are_read_back(entries):
    lines = [f"{stored(key, key=True)}={stored(value, key=False)}" for key, value in entries.items()]
    assert parse_properties("\n".join(lines).encode("latin-1")) == entries


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a=b", {"a": "b"}),
        ("a = b c ", {"a": "b c "}),
        ("a: b", {"a": "b"}),
        ("a b=c", {"a": "b=c"}),
        ("  a\t=\tb", {"a": "b"}),
        ("a", {"a": ""}),
        ("# a=b\n! c=d\n\n \t\n", {}),
        ("a=b\\\n   c\\\r\n  d", {"a": "bcd"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("a=b\\\n# c", {"a": "b# c"}),
        ("a\\ b\\==c", {"a b=": "c"}),
        ("a=\\q\\u00e9", {"a": "qé"}),
        ("a=1\na=2", {"a": "2"}),
        ("a=b\\", {"a": "b"}),
        ("a=x\x0by", {"a": "x\x0by"}),
        ("a=é", {"a": "é"}),
    ],
)
def test_the_grammar_of_properties_is_read(text, entries):
    assert parse_properties(text.encode("utf-8")) == entries


def test_properties_that_are_not_utf_8_are_read_as_latin_1():
    assert parse_properties(b"license=\xa9 Ann") == {"license": "© Ann"}
