"""Files of another tool are paired with the ground truth by name, and what does not fit is named."""

import pytest

from gancore.evaluation.pairing import list_names, pair_by_name


def test_samples_are_in_the_order_of_their_numbers():
    pairing = pair_by_name(["x-10", "x-2", "x", "y"], ["x", "y"], numbered_samples=True)
    assert pairing.files == {"x": ("x", "x-2", "x-10"), "y": ("y",)}
    assert pair_by_name(["x-two"], ["x", "y"], numbered_samples=True).unmatched == ("x-two",)


def test_a_name_that_is_there_goes_before_a_number():
    pairing = pair_by_name(["walk-1", "walk"], ["walk", "walk-1"], numbered_samples=True)
    assert pairing.files == {"walk": ("walk",), "walk-1": ("walk-1",)}


def test_a_single_file_belongs_to_a_single_item_whatever_it_is_called():
    assert pair_by_name(["prediction"], ["truth"], numbered_samples=True).files == {"truth": ("prediction",)}
    assert pair_by_name(["prediction"], ["truth"]).unmatched == ("prediction",)


def test_items_without_files_and_files_without_items_are_told():
    pairing = pair_by_name(["a", "bee"], ["a", "b"])
    assert (pairing.files, pairing.missing, pairing.unmatched) == ({"a": ("a",)}, ("b",), ("bee",))


def test_the_last_part_of_a_name_is_enough_where_it_is_unique():
    assert pair_by_name(["chair"], ["sofas/chair", "lamp"], last_part=True).files == {"sofas/chair": ("chair",)}
    with pytest.raises(ValueError, match="chair could be any of a/chair, b/chair; name files by the whole id"):
        pair_by_name(["chair"], ["a/chair", "b/chair"], last_part=True)


def test_two_files_of_one_item_are_refused():
    with pytest.raises(ValueError, match="a/x, x are both named like a/x"):
        pair_by_name(["a/x", "x"], ["a/x"], last_part=True)


def test_long_lists_of_names_are_cut():
    assert list_names(list("abcde")) == "a, b, c and 2 more"
    assert list_names(list("abc")) == "a, b, c"
