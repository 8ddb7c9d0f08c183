"""Triangle counts of files, read before Blender imports them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from objascale.gltf import MAX_TRIANGLES
from objascale.refusal import Refusal
from objascale.triangles import _occurrences, _text_lines, check_triangles

PLY_VERTEX = "element vertex {}\nproperty float x\nproperty float y\nproperty float z\n"
PLY_FACE = "element face {}\nproperty list uchar int vertex_indices\n"


def binary_stl(path: Path, triangles: int, more: int = 0, header: bytes = b"made by a test") -> Path:
    """Write a sparse file of zeros, `more` bytes longer than its triangle count implies."""
    with path.open("wb") as file:
        file.write(header.ljust(80, b"\0") + struct.pack("<I", triangles))
        file.truncate(84 + 50 * triangles + more)
    return path


def ply(path: Path, vertices: int, faces: int, body: bytes, kind: str = "ascii", end: str = "\n") -> Path:
    header = f"ply\nformat {kind} 1.0\n{PLY_VERTEX}{PLY_FACE}end_header\n".format(vertices, faces)
    path.write_bytes(header.replace("\n", end).encode() + body)
    return path


def kind(path: Path) -> str:
    with pytest.raises(Refusal, match=path.name) as found:
        check_triangles(path)
    return found.value.kind


def test_triangles_of_a_binary_stl_are_read_from_the_header(tmp_path):
    check_triangles(binary_stl(tmp_path / "small.stl", 12))
    check_triangles(binary_stl(tmp_path / "limit.STL", MAX_TRIANGLES))
    check_triangles(binary_stl(tmp_path / "solid.stl", 12, header=b"solid binary all the same"))
    path = binary_stl(tmp_path / "huge.stl", 20_000_000)
    assert kind(path) == "too-many-triangles"
    with pytest.raises(Refusal, match=r"has 20,000,000 triangles, the limit is 5,000,000"):
        check_triangles(path)


@pytest.mark.parametrize("more", [-50, -1, 1, 700])
def test_an_error_names_a_binary_stl_whose_size_does_not_fit_its_count(more, tmp_path):
    path = binary_stl(tmp_path / "lie.stl", 40, more)
    assert kind(path) == "wrong-count"
    with pytest.raises(Refusal, match=rf"40 triangles, which take 2,084 bytes, but it has {2084 + more:,} bytes"):
        check_triangles(path)


def test_facets_of_a_text_stl_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("objascale.triangles.MAX_TRIANGLES", 3)
    facet = "facet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\n"
    path = tmp_path / "text.stl"
    path.write_text(f"solid thing\n{3 * facet}endsolid thing\n")
    check_triangles(path)
    path.write_text(f"SOLID thing\n{4 * facet.upper()}ENDSOLID thing\n")
    assert kind(path) == "too-many-triangles"
    path.write_text("no mesh")
    assert kind(path) == "unreadable"


@given(st.text("xend\n", max_size=60), st.integers(1, 9))
def test_words_across_chunk_borders_are_counted_once(tmp_path_factory, text, chunk):
    path = tmp_path_factory.mktemp("words") / "text"
    path.write_text(text)
    with path.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("objascale.triangles._CHUNK_BYTES", chunk)
        assert _occurrences(file, b"end") == text.count("end")


def test_faces_of_a_ply_are_read_from_the_header(tmp_path):
    triangle = b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2"
    check_triangles(ply(tmp_path / "text.ply", 3, 1, triangle))
    check_triangles(ply(tmp_path / "crlf.ply", 3, 1, triangle.replace(b"\n", b"\r\n"), end="\r\n"))
    body = np.zeros(9, "<f4").tobytes() + b"\3" + np.arange(3, dtype="<i4").tobytes()
    check_triangles(ply(tmp_path / "binary.ply", 3, 1, body, "binary_little_endian"))
    assert kind(ply(tmp_path / "cut.ply", 4, 1, triangle)) == "wrong-count"
    assert kind(ply(tmp_path / "short.ply", 4, 1, body[:-15], "binary_little_endian")) == "wrong-count"
    path = ply(tmp_path / "huge.ply", 0, MAX_TRIANGLES + 1, b"", "binary_big_endian")
    with path.open("ab") as file:
        file.truncate(path.stat().st_size + MAX_TRIANGLES + 1)
    assert kind(path) == "too-many-triangles"
    path.write_bytes(b"ply\nformat ascii 1.0\n")
    assert kind(path) == "unreadable"


@pytest.mark.parametrize(
    ("line", "damaged"),
    [
        ("element vertex 3", "elem\xf3nt vertex 3"),
        ("element vertex 3", "  element vertex 3"),
        ("element vertex 3", "element vert\x0bx 3"),
        ("element vertex 3", "element vertex"),
        ("element vertex 3", "element vertex 3\nelement other 99999999999"),
        ("element vertex 3", "property float q\nelement vertex 3"),
        ("property float z", "property flo\xe4t z"),
        ("property float z", "property float"),
        ("property float z", ""),
        ("property float z", "comment z"),
        ("element face 1", "element face 1x"),
        ("format ascii 1.0", "format ascii"),
        ("format ascii 1.0", "fo\x1crmat ascii 1.0"),
    ],
)
def test_a_damaged_ply_header_is_refused_with_its_line(line, damaged, tmp_path):
    path = ply(tmp_path / "thing.ply", 3, 1, b"0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    path.write_bytes(path.read_bytes().replace(line.encode(), damaged.encode("latin-1")))
    assert kind(path) == "unreadable"
    with pytest.raises(Refusal, match=r"thing\.ply has a damaged header: (line \d+ is|it has no element vertex with)"):
        check_triangles(path)


def test_all_forms_of_a_ply_header_are_read(tmp_path):
    path = ply(tmp_path / "thing.ply", 3, 1, b"0 0 0 0\n1 0 0 0\n0 1 0 0\n3 0 1 2\n")
    head = b"comment\nobj_info made by a test\nelement\tvertex  3"
    data = path.read_bytes().replace(b"element vertex 3", head)
    path.write_bytes(data.replace(b"property float z", b"property float32 z\nproperty uchar two words"))
    check_triangles(path)


def test_a_line_of_a_ply_that_is_longer_than_blenders_buffer_is_refused(tmp_path):
    line = "0 0 0".ljust(65_535)
    check_triangles(ply(tmp_path / "fits.ply", 3, 1, f"{line}\n1 0 0\n0 1 0\n3 0 1 2".encode()))
    path = ply(tmp_path / "long.ply", 3, 1, f"0 0 0\n1 0 0\n{line} \n3 0 1 2".encode())
    assert kind(path) == "unreadable"
    with pytest.raises(Refusal, match=r"has a line of 65,536 bytes, and Blender reads at most 65,535"):
        check_triangles(path)


@given(st.text("x\n", max_size=60), st.integers(1, 9))
def test_lines_are_measured_across_chunk_borders(tmp_path_factory, text, chunk):
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_text(text)
    with path.open("rb") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("objascale.triangles._CHUNK_BYTES", chunk)
        lines = text.split("\n")
        assert _text_lines(file) == (len(lines), max(map(len, lines)))


def test_polygons_of_an_obj_are_counted_as_triangles(tmp_path, monkeypatch):
    path = tmp_path / "squares.obj"
    path.write_text("v 0 0 0\n" + 4 * " f 1/1 1/1 1/1 1/1\n" + "fo 1 2 3\n#f 1 2 3\n")
    monkeypatch.setattr("objascale.triangles.MAX_TRIANGLES", 8)
    check_triangles(path)
    monkeypatch.setattr("objascale.triangles.MAX_TRIANGLES", 7)
    assert kind(path) == "too-many-triangles"


def test_other_formats_are_not_checked(tmp_path):
    path = tmp_path / "thing.fbx"
    path.write_bytes(b"anything")
    check_triangles(path)


def test_an_error_names_a_truncated_ply(shared):
    assert kind(shared / "faults/models/ply/ant-half.ply") == "wrong-count"
    check_triangles(shared / "faults/models/ply/vcol.ply")
