"""The journal after a crash, on a full disk, and with a damaged line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from objascale.journal import JournalError, append_record, drop_incomplete_line, read_records

RECORDS = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=3), max_size=5)


def written(path: Path, records: list) -> Path:
    with path.open("ab", buffering=0) as file:
        for record in records:
            append_record(file, record, sync=False)
    return path


def plain(record):
    return record


@given(RECORDS, st.integers(0, 300))
def test_a_crash_costs_only_the_incomplete_line(tmp_path_factory, records, cut):
    path = written(tmp_path_factory.mktemp("journal") / "journal.jsonl", records)
    data = path.read_bytes()[: max(path.stat().st_size - cut, 0)]
    path.write_bytes(data)
    kept = records[: data.count(b"\n")]
    assert read_records(path, plain) == kept
    drop_incomplete_line(path)
    assert read_records(written(path, [{"next": 1}]), plain) == [*kept, {"next": 1}]


@pytest.mark.parametrize("damaged", ["{oops", "", '"text"', "\udcff"])
def test_the_error_of_a_damaged_line_names_the_line_and_a_remedy(tmp_path, damaged):
    path = tmp_path / "journal.jsonl"
    path.write_text(f'{{"slot": 1}}\n{damaged}\n{{"slot": 3}}\n', errors="surrogateescape")
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 2, is damaged; delete that line"):
        read_records(path, lambda record: {**record})


def test_a_missing_journal_has_no_records(tmp_path):
    drop_incomplete_line(tmp_path / "journal.jsonl")
    assert read_records(tmp_path / "journal.jsonl", plain) == []


def test_a_full_disk_is_an_error():
    with Path("/dev/full").open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        append_record(file, {"slot": 1}, sync=False)
