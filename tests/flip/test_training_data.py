"""Records of training data are written, read and compared, also that of the weights in this package."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flip.training_data import NOTHING, UNKNOWN, RecordBroken, TrainingData, read_record, record_path, write_record
from flip.weights import PACKAGE_WEIGHTS, sha256
from objascale.sources import STARTER_AUTHOR, embedded, object_keys
from objascale.sources.embedded import VARIANTS
from objascale.sources.starter import CATEGORIES, write_object

WEIGHTS = PACKAGE_WEIGHTS / "flip-s.safetensors"
NAMES = st.from_regex(r"[a-z]{1,3}(-[a-z]{1,3})?", fullmatch=True)


@pytest.fixture(scope="module")
def shipped() -> TrainingData:
    record = read_record(WEIGHTS, sha256(WEIGHTS))
    assert record is not None
    return record


def test_a_record_survives_a_round_trip(tmp_path: Path) -> None:
    data = TrainingData("a test", ("sa1b",), {"starter:mug/mug-0": "ab"}, {"blender:city": "cd"}, complete=False)
    write_record(data, tmp_path / "mine.safetensors", "1234")
    assert record_path(tmp_path / "mine.safetensors") == tmp_path / "mine.json"
    assert read_record(tmp_path / "mine.safetensors", "1234") == data


def test_a_record_belongs_to_its_own_weights(tmp_path: Path) -> None:
    assert read_record(tmp_path / "mine.safetensors", "1234") is None
    write_record(NOTHING, tmp_path / "mine.safetensors", "1234")
    assert read_record(tmp_path / "mine.safetensors", "5678") is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "a part of it has another form"),
        ("{}", "weights_sha256 is missing"),
        ('{"weights_sha256": "1"}', "datasets is missing"),
        ('{"weights_sha256": "1", "datasets": 3, "source": ""}', "a part of it has another form"),
        (
            '{"weights_sha256": "1", "datasets": [], "source": "", "objects": 7}',
            "objects should be a valid",
        ),
        ('{"weights_sha256": "1", "datasets": [], "source": "", "objects": {"a": 1}}', "objects.a should be a valid"),
        ('{"weights_sha256": "1", "datasets": [], "source": "", "object": {}}', "a part of it has another form"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(RecordBroken) as raised:
        read_record(tmp_path / "mine.safetensors", "1")
    beginning = f"{tmp_path}/mine.json is not a record of the training data of mine.safetensors ({reason}"
    assert str(raised.value).startswith(beginning)
    assert "\n" not in str(raised.value)


def test_a_data_set_of_another_split_is_not_the_same_and_one_without_a_split_may_be() -> None:
    data = TrainingData("a test", ("sa1b", "coco-train2017"))
    told = {name: data.has_dataset(name) for name in ("sa1b", "coco-train2017", "coco-val2017", "coco", "cocoa", "")}
    assert told == {
        "sa1b": "yes",
        "coco-train2017": "yes",
        "coco-val2017": "no",
        "coco": "unknown",
        "cocoa": "no",
        "": "unknown",
    }


@given(learned=st.lists(NAMES, max_size=4), name=NAMES)
def test_a_data_set_is_known_exactly_if_it_is_listed(learned: list[str], name: str) -> None:
    answer = TrainingData("a test", tuple(learned)).has_dataset(name)
    assert (answer == "yes") == (name in learned)
    if all(each.partition("-")[0] != name.partition("-")[0] for each in learned):
        assert answer == "no"


def test_nothing_and_unknown_differ() -> None:
    assert NOTHING.is_nothing
    assert not UNKNOWN.is_nothing
    assert not TrainingData("a test", ("sa1b",)).is_nothing


def test_the_record_has_the_numbers_of_the_card(shipped: TrainingData) -> None:
    names = [name.partition(":")[0] for name in (*shipped.objects, *shipped.backgrounds)]
    assert {name: names.count(name) for name in names} == {
        "lvis": 38,
        "starter": 144,
        "sweethome": 820,  # all that there are, for the card does not say which 791
        "tuxpaint": 405,
        "pmndrs": 14,
        "blender": 7,
        "photograph": 25,
    }
    assert shipped.complete
    assert shipped.datasets == ()
    assert all(len(digest) == 64 for digest in (*shipped.objects.values(), *shipped.backgrounds.values()))


def test_blenders_maps_are_known_by_their_hash_but_for_the_held_out_one(shipped: TrainingData) -> None:
    pytest.importorskip("bpy", reason="needs Blender's Python package, which is not installed")
    unseen = [each.id for each in embedded.environment_maps() if not shipped.has_background(each.sha256)]
    assert unseen == ["forest"]


def test_the_starter_splits_share_no_variant_and_the_record_has_only_the_first(shipped: TrainingData) -> None:
    assert set(VARIANTS["train"]).isdisjoint(VARIANTS["test"])
    ids = {split: [f"{name}/{name}-{v}" for name in CATEGORIES for v in VARIANTS[split]] for split in VARIANTS}
    listed = {split: [shipped.has_object((f"starter:{each}",)) for each in ids[split]] for split in ids}
    assert sum(listed["train"]) == 144
    assert not any(listed["test"])


def test_a_generated_object_is_known_from_any_processor(shipped: TrainingData) -> None:
    """NumPy's vector functions round differently with each instruction set, so the hash alone is not enough."""
    keys = object_keys("0" * 64, "apple/apple-0", STARTER_AUTHOR)
    assert shipped.has_object(keys)
    assert not shipped.has_object(object_keys("0" * 64, "apple/apple-0", "somebody else"))


@pytest.mark.parametrize("category", ["apple", "chair", "mug"])
def test_the_test_split_has_other_bytes_than_the_training_data(
    shipped: TrainingData, category: str, tmp_path: Path
) -> None:
    for variant in VARIANTS["test"]:
        write_object(category, variant, tmp_path / f"{variant}.glb")
    digests = {sha256(path) for path in tmp_path.iterdir()}
    assert len(digests) == len(VARIANTS["test"])
    assert digests.isdisjoint(shipped.objects.values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_object_of_the_test_split_is_in_the_record_by_its_hash(
    shipped: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    splits = {split: embedded.objects(split) for split in VARIANTS}
    digests = {split: {each.sha256 for each in objects} for split, objects in splits.items()}
    assert {split: len(each) for split, each in digests.items()} == {"train": 174, "test": 174}
    assert digests["test"].isdisjoint(digests["train"])
    assert not any(shipped.has_object(object_keys(each.sha256, each.id, each.author)) for each in splits["test"])
    seen = [each for each in splits["train"] if shipped.has_object(object_keys(each.sha256, each.id, each.author))]
    assert len(seen) == 144
