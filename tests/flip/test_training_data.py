"""Records of training data are written, read and compared, also that of the weights in this package."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flip.choices import PAPER_MODELS
from flip.training_data import NOTHING, UNKNOWN, RecordBroken, TrainingData, read_record, record_path, write_record
from flip.weights import PACKAGE_WEIGHTS, sha256
from objascale.sources import STARTER_AUTHOR, embedded, object_keys
from objascale.sources.embedded import VARIANTS
from objascale.sources.starter import CATEGORIES, write_object

NAMES = st.from_regex(r"[a-z]{1,3}(-[a-z]{1,3})?", fullmatch=True)


def record_of(size: str) -> TrainingData:
    weights = PACKAGE_WEIGHTS / f"{size}.safetensors"
    record = read_record(weights, sha256(weights))
    assert record is not None
    return record


@pytest.fixture(scope="module", params=PAPER_MODELS)
def shipped(request: pytest.FixtureRequest) -> TrainingData:
    """The record of each of the weights in this package."""
    return record_of(request.param)


def test_a_record_is_unchanged_by_a_round_trip(tmp_path: Path) -> None:
    data = TrainingData("a test", ("sa1b",), {"starter:mug/mug-0": "ab"}, {"blender:city": "cd"}, complete=False)
    write_record(data, tmp_path / "mine.safetensors", "1234")
    assert record_path(tmp_path / "mine.safetensors") == tmp_path / "mine.json"
    assert read_record(tmp_path / "mine.safetensors", "1234") == data


def test_a_record_is_valid_only_for_its_weights(tmp_path: Path) -> None:
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
def test_an_error_names_a_damaged_record(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "mine.json").write_text(content)
    with pytest.raises(RecordBroken) as raised:
        read_record(tmp_path / "mine.safetensors", "1")
    beginning = f"{tmp_path}/mine.json is not a record of the training data of mine.safetensors ({reason}"
    assert str(raised.value).startswith(beginning)
    assert "\n" not in str(raised.value)


def test_a_data_set_of_another_split_differs_and_one_without_a_split_is_unknown() -> None:
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
def test_exactly_the_listed_data_sets_are_training_data(learned: list[str], name: str) -> None:
    answer = TrainingData("a test", tuple(learned)).has_dataset(name)
    assert (answer == "yes") == (name in learned)
    if all(each.partition("-")[0] != name.partition("-")[0] for each in learned):
        assert answer == "no"


def test_no_training_data_differs_from_unknown_training_data() -> None:
    assert NOTHING.is_nothing
    assert not UNKNOWN.is_nothing
    assert not TrainingData("a test", ("sa1b",)).is_nothing


def test_the_record_has_the_numbers_of_the_card() -> None:
    shipped = record_of("flip-s")
    kinds = {"objects": shipped.objects, "backgrounds": shipped.backgrounds, "pictures": shipped.pictures}
    counts = {kind: Counter(name.partition(":")[0] for name in names) for kind, names in kinds.items()}
    card = (PACKAGE_WEIGHTS / "flip-s.md").read_text()
    assert counts["objects"] == {"crops": 38, "crops-sweethome": 793, "cutouts": 403}
    assert "37 textured objects" in card
    assert "793 pieces of furniture" in card
    assert "403 of Tux Paint's stamps" in card
    assert {name: counts["backgrounds"][name] for name in ("maps", "photographs")} == {"maps": 14, "photographs": 11}
    pseudo = sum(counts["pictures"].pop(name) for name in ("pseudo", "pseudo-2", "pseudo-3"))
    assert f"in {pseudo} of the same photographs" in card
    assert len({digest for name, digest in shipped.pictures.items() if name.startswith("mval-photos:")}) == 573
    assert counts["pictures"]["pseudo-a"] == 293
    assert set(shipped.datasets) == {"coco-val2017", "sa1b", "imagenet-1k"}  # MobileSAM's are the last two
    assert shipped.complete
    assert all(len(digest) == 64 for names in kinds.values() for digest in names.values())


def test_models_that_were_grown_have_learned_all_that_the_first_has() -> None:
    first = record_of("flip-s")
    for size in ("flip-m", "flip-l"):
        grown = record_of(size)
        assert grown.complete
        assert set(grown.datasets) >= set(first.datasets)
        for kind in ("objects", "backgrounds", "pictures"):
            assert set(getattr(grown, kind).values()) >= set(getattr(first, kind).values())


def test_no_map_of_blender_is_in_the_record(shipped: TrainingData) -> None:
    pytest.importorskip("bpy", reason="needs Blender's Python package, which is not installed")
    assert not any(shipped.has_background(each.sha256) for each in embedded.environment_maps())


def test_the_starter_splits_share_no_variant_and_the_record_has_neither(shipped: TrainingData) -> None:
    assert set(VARIANTS["train"]).isdisjoint(VARIANTS["test"])
    names = [f"starter:{name}/{name}-{v}" for name in CATEGORIES for split in VARIANTS for v in VARIANTS[split]]
    assert not any(shipped.has_object((name,)) for name in names)


def test_a_generated_object_is_recognised_from_any_processor() -> None:
    """Vector functions of NumPy round differently by instruction set, so the hash alone is not sufficient."""
    learned = TrainingData("a test", objects={"starter:apple/apple-0": "1" * 64})
    assert learned.has_object(object_keys("0" * 64, "apple/apple-0", STARTER_AUTHOR))
    assert not learned.has_object(object_keys("0" * 64, "apple/apple-0", "somebody else"))


@pytest.mark.parametrize("category", ["apple", "chair", "mug"])
def test_generated_objects_have_other_bytes_than_the_training_data(
    shipped: TrainingData, category: str, tmp_path: Path
) -> None:
    for variant in VARIANTS["test"]:
        write_object(category, variant, tmp_path / f"{variant}.glb")
    digests = {sha256(path) for path in tmp_path.iterdir()}
    assert len(digests) == len(VARIANTS["test"])
    assert digests.isdisjoint(shipped.objects.values())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_generated_object_is_in_a_record_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    splits = {split: embedded.objects(split) for split in VARIANTS}
    digests = {split: {each.sha256 for each in objects} for split, objects in splits.items()}
    assert {split: len(each) for split, each in digests.items()} == {"train": 174, "test": 174}
    assert digests["test"].isdisjoint(digests["train"])
    keys = [object_keys(each.sha256, each.id, each.author) for split in splits.values() for each in split]
    for record in map(record_of, PAPER_MODELS):
        assert not any(map(record.has_object, keys))
