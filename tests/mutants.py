"""Damaged files: mutants of a sound file, each fixed by its number."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Generator = np.random.Generator
Mutation = Callable[[bytes, Generator], bytes]

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    7,
    10**6,
    2**31,
    2**40,
    1e30,
    "",
    "x",
    "../x",
    [],
    [0],
    [-1],
    {},
    {"index": 9},
]
_ODD_WORDS = [b"", b"-1", b"0", b"1e30", b"-1e30", b"nan", b"inf", b"4294967296", b"99999999999999999999", b"x", b"/"]
_ODD_WORDS += [b"1 2", b"\xff\xfe", b"\0", b"../x", b"{", b'"', b"\n", b"#", b"0.5/3", b"1" * 400]
_ODD_NUMBERS = [0, 1, -1, 0x7F, 0xFFFF, 2**24, 2**31 - 1, -(2**31)]


def flip(data: bytes, rng: Generator, low: int, high: int) -> bytes:
    """One to eight random bytes in a part of the file."""
    flipped = bytearray(data)
    for at in rng.integers(low, max(high, low + 1), rng.integers(1, 9)):
        flipped[min(int(at), len(data) - 1)] = int(rng.integers(256))
    return bytes(flipped)


def _truncate(data: bytes, rng: Generator) -> bytes:
    return data[: rng.integers(len(data))]


def _two_places(data: bytes, rng: Generator) -> tuple[int, int]:
    start = int(rng.integers(len(data)))
    return start, start + int(rng.integers(1, 65))


def _insert(data: bytes, rng: Generator) -> bytes:
    start, end = _two_places(data, rng)
    return data[:start] + rng.bytes(end - start) + data[start:]


def _remove(data: bytes, rng: Generator) -> bytes:
    start, end = _two_places(data, rng)
    return data[:start] + data[end:]


def _swap(data: bytes, rng: Generator) -> bytes:
    """Two neighbouring blocks change places."""
    start, middle = _two_places(data, rng)
    end = middle + int(rng.integers(1, 65))
    return data[:start] + data[middle:end] + data[start:middle] + data[end:]


def _lie(data: bytes, rng: Generator) -> bytes:
    """An extreme number of four bytes, near the start of the file in half of all cases."""
    at = int(rng.integers(min(len(data), 512) if rng.random() < 0.5 else len(data)))
    number = struct.pack(rng.choice(["<i", ">i"]), _ODD_NUMBERS[rng.integers(len(_ODD_NUMBERS))])
    return data[:at] + number + data[at + 4 :]


BINARY: list[Mutation] = [
    lambda data, rng: flip(data, rng, 0, 64),
    lambda data, rng: flip(data, rng, 0, len(data)),
    _truncate,
    _insert,
    _remove,
    _swap,
    _lie,
    _lie,
]


def _replace_word(data: bytes, rng: Generator) -> bytes:
    """One word between blanks, commas or ends of lines becomes an odd one."""
    marks = np.flatnonzero(np.isin(np.frombuffer(data, np.uint8), list(b" ,\n\t:"))) + 1
    at = int(rng.choice(marks)) if len(marks) else 0
    end = next((i for i in range(at, len(data)) if data[i] in b" ,\n\t"), len(data))
    return data[:at] + _ODD_WORDS[rng.integers(len(_ODD_WORDS))] + data[end:]


def _lines(change: Callable[[list[bytes], Generator], None]) -> Mutation:
    def mutate(data: bytes, rng: Generator) -> bytes:
        lines = data.split(b"\n")
        change(lines, rng)
        return b"\n".join(lines)

    return mutate


def _swap_lines(lines: list[bytes], rng: Generator) -> None:
    a, b = rng.integers(len(lines), size=2)
    lines[a], lines[b] = lines[b], lines[a]


def _double_line(lines: list[bytes], rng: Generator) -> None:
    lines.insert(int(rng.integers(len(lines))), lines[rng.integers(len(lines))])


def _drop_line(lines: list[bytes], rng: Generator) -> None:
    del lines[rng.integers(len(lines))]


TEXT: list[Mutation] = [
    _replace_word,
    _replace_word,
    _lines(_swap_lines),
    _lines(_double_line),
    _lines(_drop_line),
    lambda data, rng: flip(data, rng, 0, len(data)),
    _truncate,
    _insert,
    _remove,
    _swap,
]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (holder, key) in a JSON document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def change_value(document: Any, rng: Generator) -> None:
    """One or two values of a JSON document become odd ones."""
    for _ in range(rng.integers(1, 3)):
        choices = places(document)
        holder, key = choices[rng.integers(len(choices))]
        holder[key] = ODD[rng.integers(len(ODD))]


def nudge_number(document: Any, rng: Generator) -> None:
    """A whole number a little or much too large, or negative."""
    choices = [(holder, key) for holder, key in places(document) if type(holder[key]) is int]
    if not choices:
        return
    holder, key = choices[rng.integers(len(choices))]
    holder[key] += int(rng.choice([-1, 1, 4, 1000, 2**31, -(2**31)]))


def drop_value(document: Any, rng: Generator) -> None:
    """A value of a JSON document is missing."""
    choices = places(document)
    holder, key = choices[rng.integers(len(choices))]
    del holder[key]


def nested(document: dict[str, Any] | list[Any], rng: Generator) -> bytes:
    """The JSON of a document with many lists in each other."""
    depth = int(rng.choice([50, 900, 100_000]))
    extended = {**document, "extras": "@"} if isinstance(document, dict) else [*document, "@"]
    return json.dumps(extended).encode().replace(b'"@"', b"[" * depth + b"]" * depth)


def _document(change: Callable[[Any, Generator], None]) -> Mutation:
    def mutate(data: bytes, rng: Generator) -> bytes:
        document = json.loads(data)
        change(document, rng)
        return json.dumps(document).encode()

    return mutate


JSON: list[Mutation] = [
    _document(change_value),
    _document(change_value),
    _document(nudge_number),
    _document(drop_value),
    lambda data, rng: nested(json.loads(data), rng),
    lambda data, rng: flip(data, rng, 0, len(data)),
    _truncate,
    _replace_word,
]


def _one_line(change: Callable[[Any, Generator], None]) -> Mutation:
    """A change of one record in a file of a JSON value a line."""

    def mutate(lines: list[bytes], rng: Generator) -> None:
        at = rng.integers(len(lines) - 1)
        lines[at] = _document(change)(lines[at], rng)

    return _lines(mutate)


JSON_LINES: list[Mutation] = [
    _one_line(change_value),
    _one_line(change_value),
    _one_line(nudge_number),
    _one_line(drop_value),
    *TEXT[2:],
]


def _png_chunk(data: bytes, rng: Generator) -> bytes:
    """A chunk of a PNG with other content and the right checksum."""
    starts, at = [], 8
    while at < len(data):
        starts.append(at)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    at = starts[rng.integers(len(starts) - 1)] if rng.random() < 0.5 else starts[0]
    size = int.from_bytes(data[at : at + 4], "big")
    content = rng.choice(BINARY)(data[at + 8 : at + 8 + size] or b"?", rng)
    body = data[at + 4 : at + 8] + content
    chunk = struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
    return data[:at] + chunk + data[at + 12 + size :]


PNG: list[Mutation] = [*BINARY, _png_chunk, _png_chunk, _png_chunk]


def _zip_member(data: bytes, rng: Generator) -> bytes:
    """A member of a zip archive with other content and the right checksum; the first in half of all cases."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    name = names[0 if rng.random() < 0.5 else rng.integers(len(names))]
    members[name] = rng.choice(BINARY)(members[name] or b"?", rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


ZIP: list[Mutation] = [*BINARY, *[_zip_member] * 6]


def _safetensors_header(change: Callable[[Any, Generator], None]) -> Mutation:
    def mutate(data: bytes, rng: Generator) -> bytes:
        (size,) = struct.unpack_from("<Q", data)
        header = _document(change)(data[8 : 8 + size], rng)
        return struct.pack("<Q", len(header)) + header + data[8 + size :]

    return mutate


SAFETENSORS: list[Mutation] = [
    *BINARY,
    *(_safetensors_header(change) for change in (change_value, change_value, nudge_number, drop_value)),
]


def _parquet_column(data: bytes, rng: Generator) -> bytes:
    """A column of a table with other values, of another type, or missing."""
    table = pq.read_table(io.BytesIO(data), use_threads=False)
    at = int(rng.integers(table.num_columns))
    name, rows = table.column_names[at], table.num_rows
    other: list[Any] = [
        [value] * rows for value in (None, -1, 0, 2**62, float("nan"), float("inf"), "x", "", [1], b"?")
    ]
    which = rng.integers(len(other) + 2)
    if which == len(other):
        table = table.remove_column(at)
    elif which == len(other) + 1:
        table = table.slice(0, int(rng.integers(2)))
    else:
        values = other[which]
        if rng.random() < 0.5:  # one row alone
            before = table.column(at).to_pylist()
            values = [values[0], *before[1:]] if _fits([values[0], *before[1:]]) else values
        table = table.set_column(at, name, pa.array(values))
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def _fits(values: list[Any]) -> bool:
    try:
        pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return False
    return True


PARQUET: list[Mutation] = [*BINARY, *[_parquet_column] * 6]


def mutant(data: bytes, mutations: list[Mutation], number: int) -> bytes:
    """The mutant of a sound file with a number. The same number always gives the same mutant."""
    return mutations[number % len(mutations)](data, np.random.default_rng(number))
