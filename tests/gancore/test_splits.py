"""Splits by folder names, by lists and by hash: what belongs where, and that it stays there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gancore.splits import (
    choose_held_out,
    divide_held_out,
    has_prefix,
    held_out_split,
    is_held_out,
    is_listed,
    parse_splits,
    read_name_list,
    split_by_hash,
    split_from_folders,
    split_of_unlisted,
)


def test_the_first_folder_that_names_a_split_decides():
    assert split_from_folders(("ucf", "validation", "test", "a.avi")) == "val"
    assert split_from_folders(("training", "a")) == "train"
    assert split_from_folders(("Test", "trainer", "a")) == "test"
    assert split_from_folders(("trainer", "tests", "a")) is None


@pytest.mark.parametrize("name", ["testing_videos", "Test_Set", "test-data", "testset", "test clips", "TestingFrames"])
def test_a_folder_may_say_what_it_holds_besides(name):
    assert split_from_folders([name]) == "test"
    assert split_from_folders([name.lower().replace("test", "no")]) is None


def test_a_training_is_measured_on_val_or_without_one_on_test():
    assert held_out_split(["train", "test", "val", None]) == "val"
    assert held_out_split(["train", "test"]) == "test"
    assert held_out_split(["train", None]) is None


def test_what_no_list_names_is_trained_on_unless_there_is_a_list_for_training():
    assert split_of_unlisted(["test", None, "val"]) == "train"
    assert split_of_unlisted(["train", "test"]) is None


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_about_the_asked_fraction_is_held_out(share):
    names = [f"video_{number:04d}.avi" for number in range(5000)]
    assert sum(is_held_out(name, share) for name in names) / 5000 == pytest.approx(share, abs=0.03)


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_fraction_only_adds_to_the_held_out_items(name, a, b):
    low, high = sorted((a, b))
    assert is_held_out(name, low) <= is_held_out(name, high)
    assert not is_held_out(name, 0.0)
    assert is_held_out(name, 1.0)


def test_of_several_names_at_least_one_is_held_out_and_it_is_always_the_same():
    assert choose_held_out({"b", "d", "f"}, 0.1) == choose_held_out({"f", "d", "b"}, 0.1)
    assert len(choose_held_out({"b", "d", "f"}, 0.1)) == 1
    assert choose_held_out({"b"}, 0.1) == set()
    assert choose_held_out({"b", "d", "f"}, 0.0) == set()
    names = {f"{number}.mp4" for number in range(1000)}
    assert choose_held_out(names, 0.1) == {name for name in names if is_held_out(name, 0.1)}


def test_the_hash_is_the_same_on_every_machine():
    assert [name for name in "abcdefghij" if is_held_out(name, 0.3)] == ["a", "c", "h", "i", "j"]


@given(st.sets(st.text(), max_size=12))
def test_held_out_items_are_divided_and_two_fill_both_parts(names):
    splits = divide_held_out(names)
    assert splits.keys() == names
    assert set(splits.values()) == ({"val", "test"} if len(names) > 1 else {"test"} if names else set())


def test_a_file_name_that_is_not_utf_8_has_a_split_too():
    names = {"caf\udce9.mp4", "b.mp4"}
    assert choose_held_out(names, 1.0) == names
    assert set(divide_held_out(names).values()) == {"val", "test"}
    assert split_by_hash("caf\udce9.mp4", test=1.0) == "test"


def test_about_half_of_the_held_out_items_are_val_each_by_its_own_name():
    splits = divide_held_out(f"video_{number:04d}.avi" for number in range(5000))
    assert sum(split == "val" for split in splits.values()) / 5000 == pytest.approx(0.5, abs=0.03)
    some = list(splits)[::7]
    assert divide_held_out(some) == {name: splits[name] for name in some}


@given(st.text())
def test_a_validation_split_is_taken_from_the_training_items_alone(name):
    without, split = split_by_hash(name, test=0.2), split_by_hash(name, test=0.2, val=0.3)
    assert (split == "test") == (without == "test") == is_held_out(name, 0.2)
    assert (split == "train") == (not is_held_out(name, 0.5))


@pytest.mark.parametrize(
    "content",
    [
        {"training": ["a/1", "a/2"], "val": [], "test": ["b"]},
        {"a/1": "train", "a/2": "train", "b": "testing"},
    ],
)
def test_a_json_file_lists_names_by_split_or_splits_by_name(content):
    assert parse_splits(content) == {"a/1": "train", "a/2": "train", "b": "test"}


def test_lists_of_a_class_name_its_objects_below_the_class():
    groups = [{"taxonomy_id": "02", "train": ["a"], "test": ["b"]}, {"taxonomy_id": "03", "val": ["a"]}]
    assert parse_splits(groups) == {"02/a": "train", "02/b": "test", "03/a": "val"}


@pytest.mark.parametrize("content", [3, "train", ["a"], {"a": "later"}, {"train": 3}, [{"train": ["a"]}], None])
def test_anything_else_is_refused(content):
    with pytest.raises(ValueError, match="not a list of splits"):
        parse_splits(content)


def test_a_text_file_names_items_by_path_or_name_with_or_without_suffix_and_number(tmp_path):
    (tmp_path / "testlist01.txt").write_text("Run/v_Run_g01_c01.avi 3\n\n  walk 2 b \njump\n")
    listed = read_name_list(tmp_path / "testlist01.txt")
    for name in ("Run/v_Run_g01_c01.avi", "walk 2 b.mp4", "deep/below/jump.avi", "jump"):
        assert is_listed(name, listed)
    for name in ("v_Run_g01_c02.avi", "jump2.avi", "walk.mp4"):
        assert not is_listed(name, listed)


@pytest.mark.parametrize(
    ("name", "prefix", "begins"),
    [
        ("person1_walk.avi", "person1", True),
        ("person10_walk.avi", "person1", False),
        ("person10_walk.avi", "person10", True),
        ("person10_walk.avi", "person", True),
        ("person1", "person1", True),
        ("2024_a", "2024", True),
        ("a", "", True),
        ("perso", "person", False),
    ],
)
def test_a_prefix_ends_where_a_number_ends(name, prefix, begins):
    assert has_prefix(name, prefix) == begins
