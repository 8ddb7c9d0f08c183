"""Selecting objects on the command line, and shards."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.results import ResultRow
from bench.selection import SelectionError, parse_selection
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject


def truth(category: str = "chair", area: int = 100) -> TruthObject:
    return TruthObject("1", "a", category, area, (100, 200), "")


def test_a_selection_needs_every_condition():
    chosen = parse_selection(["category=chair,cup", "area=50..100", "fraction=..5e-3"])
    assert chosen.wants(truth())
    assert chosen.wants(truth("cup", 50))
    assert not chosen.wants(truth("table"))
    assert not chosen.wants(truth(area=101))
    assert not chosen.wants(truth(area=49))
    assert not parse_selection(["fraction=5.1e-3.."]).wants(truth())
    assert parse_selection([]).wants(truth("anything", 0))


@pytest.mark.parametrize(
    "text", ["chair", "category=", "area=5", "area=9..5", "area=a..b", "size=1..2", "fraction=", "area=nan..3"]
)
def test_an_error_quotes_a_malformed_selection(text):
    with pytest.raises(SelectionError, match="cannot select by"):
        parse_selection([text])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_malformed_shards_are_errors(text):
    with pytest.raises(SelectionError, match="I/N"):
        parse_selection([], shard=text)


@given(st.integers(1, 9), st.none() | st.integers(1, 9))
def test_shards_partition_the_samples(parts, limit):
    dataset = Dataset("any", Path(), [Sample(str(i), "", bytes, list) for i in range(7)])
    whole = parse_selection([], limit).samples(dataset)
    shards = [parse_selection([], limit, f"{i}/{parts}").samples(dataset) for i in range(1, parts + 1)]
    assert sorted(sample.image_id for shard in shards for sample in shard) == [sample.image_id for sample in whole]


def dataset(*categories: str) -> Dataset:
    return Dataset("any", Path("data"), [Sample("7", "", bytes, list)], frozenset(categories))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ("person,zzapple", "no category of data is called 'zzapple'; did you mean apple?"),
        ("Person", "no category of data is called 'Person'; did you mean person?"),
        ("PERSON", "did you mean person?"),
        ("person,", "no category of data is called ''"),
        ("aple,persn", "'aple' or 'persn'; did you mean apple or person?"),
        ("qqq", "there are 3: apple, person, traffic cone"),
    ],
)
def test_the_error_of_an_unknown_category_suggests_the_nearest(asked, sentence):
    with pytest.raises(SelectionError) as error:
        parse_selection([f"category={asked}"]).check(dataset("person", "apple", "traffic cone"))
    assert sentence in str(error.value)


def test_an_error_lists_only_some_of_many_categories():
    with pytest.raises(SelectionError, match=r"there are 1203: c0000, .*c0019, …$"):
        parse_selection(["category=zzz"]).check(dataset(*(f"c{i:04d}" for i in range(1203))))


def test_known_categories_are_accepted_and_all_names_if_none_is_known():
    parse_selection(["category=person"]).check(dataset("person", "apple"))
    parse_selection(["area=1..2"]).check(dataset())
    parse_selection(["category=any"]).check(Dataset("any", Path("data"), []))


def row(**columns) -> ResultRow:
    fixed = dict.fromkeys(("model", "settings_hash", "dataset", "dataset_path", "image_file", "image_sha256"), "")
    about = {"weights_sha256": None, "image_id": "7", "object_id": "1", "asset_id": "a", "category": "chair"}
    sizes = {"width": 200, "height": 100, "area": 100, "fraction": 5e-3, "truth_rle": "", "prompt_source": "box"}
    return ResultRow(**{**fixed, **about, **sizes, **columns})


@pytest.mark.parametrize(
    ("select", "rows", "expected"),
    [
        ([], [], False),
        ([], [row()], True),
        (["category=cup"], [row()], False),
        (["category=cup"], [row(), row(category="cup")], True),
        (["area=101.."], [row()], False),
        (["fraction=..1e-4"], [row()], False),
        (["fraction=2.."], [row()], False),
        (["category=cup"], [row(object_id="unread/7", category="", area=0, width=0, height=0)], True),
        ([], [row(image_id="8")], False),
    ],
)
def test_an_empty_selection_is_an_error_despite_rows_of_an_earlier_run(select, rows, expected):
    assert parse_selection(select).found(dataset("chair", "cup"), rows) == expected


def test_the_search_for_a_selected_object_ends_at_the_first_match():
    made: list[int] = []

    def make(index: int) -> Sample:
        made.append(index)
        return Sample(str(index), "", bytes, list)

    many = Dataset("any", Path("data"), LazySamples(range(11_000_000), make))
    assert parse_selection([]).found(many, [row(image_id="3")])
    assert made == [0, 1, 2, 3]


def images(*names: str) -> Dataset:
    return Dataset("any", Path("data"), [Sample(name, f"train2017/{name}.jpg", bytes, list) for name in names])


def test_images_are_selected_by_a_list_in_a_file(tmp_path):
    (tmp_path / "names.txt").write_text("c.jpg\n\n a.jpg \n")
    chosen = parse_selection([f"image={tmp_path / 'names.txt'}"], limit=1)
    chosen.check(images("a", "b", "c"))
    assert [sample.image_id for sample in chosen.samples(images("a", "b", "c"))] == ["a"]
    with pytest.raises(SelectionError, match=r"data lacks 1 of the selected images, such as c\.jpg"):
        chosen.check(images("a", "b"))


def test_a_malformed_list_of_images_is_an_error(tmp_path):
    with pytest.raises(SelectionError, match=r"none\.txt: the file cannot be read"):
        parse_selection([f"image={tmp_path / 'none.txt'}"])
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(SelectionError, match=r"empty\.txt: the file names no image"):
        parse_selection([f"image={tmp_path / 'empty.txt'}"])
