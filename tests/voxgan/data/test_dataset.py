"""What training is shown: pictures and voxels that belong together, whatever was changed about them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.toys import SIDE, boxes, move_to_train, packed, picture

from gancore.data import Sample
from voxgan.config import ViewAugmentConfig, VoxelDataConfig
from voxgan.data.dataset import (
    UNKNOWN_CAMERA,
    PictureSpec,
    VoxelDataset,
    augment_view,
    camera_number,
    collate,
    open_held_out,
    refine_voxels,
    sample_backgrounds,
)
from voxgan.data.packed import PackedObject, write_packed_dataset
from voxgan.data.packed import encode_webp as packed_view
from voxgan.files.images import frame_object
from voxgan.rendering.camera import CAMERA_GRID

PICTURES = PictureSpec(size=16, mask=True)
STILL = ViewAugmentConfig(
    mirror=False, crop_jitter=0.0, colour_jitter=0.0, greyscale_probability=0.0, background_probability=0.0
)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return str(packed(tmp_path_factory.mktemp("boxes"), count=16))


def dataset(source, split="train", *, pictures=PICTURES, augment=STILL, **data):
    return VoxelDataset(VoxelDataConfig(path=source, augment=augment, **data), pictures, split=split)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return str(packed(tmp_path_factory.mktemp("more"), count=24, fractional=True))


def silhouette(occupancy: torch.Tensor) -> torch.Tensor:
    """Where the object is seen from the front, top row first."""
    return occupancy.any(2).T.flip(0)


def test_parts_do_not_overlap(source):
    parts = [set(dataset(source, split).indices) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [12, 2, 2]
    assert len(set.union(*parts)) == 16


def test_a_sample_depends_on_its_seed_alone(source):
    changing = dataset(source, augment=ViewAugmentConfig(), views=2)
    first, again, other = (changing[Sample(3, seed)] for seed in (5, 5, 6))
    assert all(torch.equal(a, b) for a, b in zip(first[:2], again[:2], strict=True))
    assert not torch.equal(first[0], other[0])


def test_views_of_a_sample_are_different_ones_as_long_as_there_are_enough(source):
    views, _, _, _ = dataset(source, views=2)[Sample(0, 0)]
    assert views.shape == (2, 4, 16, 16)
    assert not torch.equal(views[0], views[1])
    views, _, _, _ = dataset(source, views=3)[Sample(0, 0)]
    assert torch.equal(views[0], views[2])


def test_a_mirrored_object_is_seen_mirrored(source):
    number, mirrored = 2, 0
    for seed in range(20):
        _, occupancy, _, _ = dataset(source)[Sample(number, seed)]
        views, voxels, _, _ = dataset(source, augment=replace(STILL, mirror=True))[Sample(number, seed)]
        assert not torch.equal(occupancy, occupancy.flip(0))
        if torch.equal(voxels, occupancy):
            continue
        mirrored += 1
        assert torch.equal(voxels, occupancy.flip(0))
        outlines = {tuple((view[3] > 0).flatten().tolist()) for view in views}
        front = torch.from_numpy(frame_object(picture(voxels.numpy(), from_side=False), 16)[..., 3] > 127)
        side = torch.from_numpy(frame_object(picture(voxels.numpy(), from_side=True), 16)[..., 3] > 127)
        assert outlines <= {tuple(front.flatten().tolist()), tuple(side.flip(1).flatten().tolist())}
    assert 3 < mirrored < 17


def test_training_shows_other_proportions_and_held_out_objects_keep_theirs(source):
    plain, changing = (dataset(source, pictures=None, proportions=strength) for strength in (0.0, 0.5))
    shown = [changing[Sample(0, seed)][1] for seed in range(5)]
    assert len({voxels.numpy().tobytes() for voxels in [plain[Sample(0, 0)][1], *shown]}) > 3
    assert torch.equal(shown[2], changing[Sample(0, 2)][1])
    unseen = dataset(source, "test", pictures=None, proportions=0.5)
    assert torch.equal(unseen[Sample(0, 1)][1], dataset(source, "test")[Sample(0, 1)][1])
    with pytest.raises(ValueError, match=r"^proportions must lie in \[0, 1\], got 2"):
        VoxelDataConfig(proportions=2.0)


def test_held_out_objects_are_shown_as_they_are(source):
    plain = dataset(source, "test")[Sample(0, 3)]
    augmented = dataset(source, "test", augment=ViewAugmentConfig())[Sample(0, 3)]
    assert torch.equal(plain[1], augmented[1])
    assert torch.equal(plain[0].sort(0).values, augmented[0].sort(0).values)


def test_pictures_stay_in_their_range_and_outlines_binary_enough(source):
    changing = dataset(
        source, augment=ViewAugmentConfig(colour_jitter=1.0, greyscale_probability=0.5, crop_jitter=0.2), views=2
    )
    items = [changing[Sample(n % 12, n)] for n in range(24)]
    batch = collate(items)
    assert len(batch) == 24
    assert batch.views.abs().max() <= 1
    assert set(batch.occupancy.unique().tolist()) == {0.0, 1.0}
    assert batch.labels.tolist() == [item.label for item in items]
    assert set(batch.labels.tolist()) == {0, 1}


def test_classes_can_be_chosen_and_are_named_when_they_do_not_exist(source):
    lamps = dataset(source, classes=("lamp",))
    assert len(lamps) == 6
    assert lamps.classes == ("lamp",)
    assert {lamps[Sample(n, 0)][2] for n in range(6)} == {0}
    with pytest.raises(ValueError, match=r"has no sofa; there are lamp, stool"):
        dataset(source, classes=("sofa",))


def test_a_part_without_objects_is_refused(tmp_path):
    few = str(packed(tmp_path / "few", count=3))
    lack = r"no objects to test on: it holds 3 train, 0 val, 0 test; .* a splits\.json .* lists some under test"
    with pytest.raises(ValueError, match=lack):
        dataset(few, "test")


def test_a_part_without_objects_of_a_class_is_refused(tmp_path):
    some = str(packed(tmp_path / "some", count=8))
    with pytest.raises(ValueError, match=r"no objects to test on: none of its 1 in test is of data\.classes stool"):
        dataset(some, "test", classes=("stool",))


def test_what_training_does_not_see_is_the_validation_part_or_the_test_part_or_nothing(source, tmp_path):
    config = VoxelDataConfig(path=source)
    assert open_held_out(config, PICTURES).indices == dataset(source, "val").indices
    packed(tmp_path / "some", count=8)
    move_to_train(tmp_path / "some", ["val"])
    assert open_held_out(replace(config, path=str(tmp_path / "some")), PICTURES).indices == [7]
    assert open_held_out(replace(config, path=str(packed(tmp_path / "few", count=3))), PICTURES) is None


def test_without_an_encoder_no_picture_is_read(tmp_path):
    blind = str(packed(tmp_path / "blind", views=0))
    views, occupancy, _, _ = dataset(blind, pictures=None)[Sample(0, 0)]
    assert len(views) == 0
    assert occupancy.shape == (SIDE, SIDE, SIDE)
    with pytest.raises(ValueError, match="no objects to train on: they have no pictures; prepare it with --views"):
        dataset(blind)


def test_a_changed_window_moves_outline_and_colour_together():
    shown = np.zeros((32, 32, 4), np.uint8)
    shown[8:24, 8:24] = (10, 200, 60, 255)
    random = np.random.default_rng(4)
    moved = augment_view(shown, replace(STILL, crop_jitter=0.25), random=random)
    assert not np.array_equal(moved, shown)
    inside = moved[..., 3] > 250
    assert inside.any()
    assert np.abs(moved[inside][:, :3].astype(int) - (10, 200, 60)).max() <= 2


def test_colours_change_and_outlines_do_not():
    shown = np.random.default_rng(0).integers(50, 200, (16, 16, 4)).astype(np.uint8)
    shown[..., 3] = 255
    tinted = augment_view(shown, replace(STILL, colour_jitter=0.5), random=np.random.default_rng(1))
    assert np.array_equal(tinted[..., 3], shown[..., 3])
    assert not np.array_equal(tinted[..., :3], shown[..., :3])
    grey = augment_view(shown, replace(STILL, greyscale_probability=1.0), random=np.random.default_rng(1))
    assert (np.ptp(grey[..., :3].astype(int), axis=2) <= 1).all()


def test_nothing_asked_nothing_changed():
    shown = np.random.default_rng(0).integers(0, 255, (16, 16, 4)).astype(np.uint8)
    assert np.abs(augment_view(shown, STILL, random=np.random.default_rng(1)).astype(int) - shown).max() <= 1


def test_backgrounds_are_smooth_different_and_optional():
    fields = sample_backgrounds(3, 32, random=np.random.default_rng(0), probability=1.0)
    assert fields.shape == (3, 3, 32, 32)
    assert fields.abs().max() <= 1
    assert fields.diff(dim=3).abs().max() < 0.2
    assert fields.std() > 0.2
    assert not sample_backgrounds(3, 32, random=np.random.default_rng(0), probability=0.0).any()


def test_an_encoder_without_mask_sees_backgrounds_in_training(source):
    blind = replace(PICTURES, mask=False)
    views, _, _, _ = dataset(source, pictures=blind, augment=replace(STILL, background_probability=1.0))[Sample(0, 0)]
    assert views.shape == (1, 3, 16, 16)
    assert views[0, :, 0, 0].any()
    assert views[0, :, 0].std() > 0
    views, _, _, _ = dataset(source, "val", pictures=blind, augment=replace(STILL, background_probability=1.0))[
        Sample(0, 0)
    ]
    assert not views[0, :, 0, 0].any()


def test_how_full_voxels_are_reaches_a_batch(tmp_path):
    source, binary = packed(tmp_path / "full", fractional=True), packed(tmp_path / "binary")
    full, filled = (collate([dataset(str(each))[Sample(0, 3)]]) for each in (source, binary))
    assert full.occupancy.dtype == torch.float32
    assert torch.equal(full.occupancy, filled.occupancy * np.float32(179 / 255))
    assert torch.equal(full.views, filled.views)


def test_a_view_that_shows_nothing_stops_no_training(tmp_path):
    shape = boxes(1)
    blank = np.zeros((16, 16, 4), np.uint8)
    write_packed_dataset(
        tmp_path / "sheet",
        [PackedObject(id="sheet", cameras=((0.0, 0.0),))],
        contents=[(shape, [packed_view(blank)])],
        side=SIDE,
    )
    views, _, _, _ = dataset(str(tmp_path / "sheet"))[Sample(0, 0)]
    assert not views[:, :3].any()
    assert (views[:, 3] == -1).all()


def test_objects_of_other_data_sets_are_mixed_in_by_the_seed_at_the_fraction_asked_for(source, other):
    mixed = dataset(source, mixed_with=(other,), mixed_fraction=0.25)
    alone, all_others = dataset(source), dataset(source, mixed_with=(other,), mixed_fraction=1.0)
    assert len(mixed) == len(alone) == 12
    of_other = [mixed[Sample(number % 12, number)][1].dtype == torch.float32 for number in range(400)]
    assert 70 < sum(of_other) < 130
    for number, mixed_in in enumerate(of_other[:20]):
        views, voxels, _, _ = mixed[Sample(number % 12, number)]
        assert torch.equal(views, mixed[Sample(number % 12, number)][0])
        assert mixed_in or torch.equal(voxels, alone[Sample(number % 12, number)][1])
    shown = {voxels.numpy().tobytes() for _, voxels, _, _ in (all_others[Sample(0, seed)] for seed in range(200))}
    trained_on = dataset(other)
    assert shown == {trained_on[Sample(number, 0)][1].numpy().tobytes() for number in range(18)}  # none held out


def test_held_out_objects_are_those_of_the_data_set_alone(source, other):
    config = VoxelDataConfig(path=source, mixed_with=(other,), mixed_fraction=1.0)
    held_out = open_held_out(config, PICTURES)
    assert len(held_out) == 2
    assert held_out[Sample(0, 0)][1].dtype == torch.bool


def test_an_object_that_is_held_out_is_not_mixed_in_by_another_name_of_its_data_set(source, other, tmp_path):
    held_out = {item.id for item in dataset(source).packed.objects if item.split != "train"}
    again = packed(tmp_path / "again", count=16)
    move_to_train(again, ["val", "test"])
    mixed = dataset(source, mixed_with=(str(again), other))
    assert not held_out & {packed_set.objects[index].id for packed_set, index in mixed.mixed_in}
    assert (len(mixed), mixed.items) == (12, 12 + 12 + 18)


def test_data_sets_that_do_not_fit_are_not_mixed(source, tmp_path):
    with pytest.raises(ValueError, match=r"mixed_with: .*coarse has 16 voxels a side, which does not divide the 8 of"):
        dataset(source, mixed_with=(str(packed(tmp_path / "coarse", side=16)),))
    item = PackedObject(id="ark/1", label="ark", cameras=((0.0, 0.0),))
    view = packed_view(picture(boxes(1), from_side=False))
    write_packed_dataset(tmp_path / "ark", [item], contents=[(boxes(1), [view])], side=SIDE)
    with pytest.raises(ValueError, match=r"has no class ark as .*ark"):
        dataset(source, mixed_with=(str(tmp_path / "ark"),))
    with pytest.raises(ValueError, match=r"mixed_with: .*ark has no objects to train on"):
        dataset(source, mixed_with=(str(tmp_path / "ark"),), classes=("stool",))
    with pytest.raises(ValueError, match=r"mixed_fraction must lie in \(0, 1\]"):
        VoxelDataConfig(mixed_fraction=0.0)
    with pytest.raises(ValueError, match="mixed_fraction is for mixed_with"):
        VoxelDataConfig(mixed_fraction=0.25)


def test_coarser_voxels_are_interpolated_to_the_side_that_is_learnt(source, tmp_path):
    finer = packed(tmp_path / "finer", side=16, fractional=True)
    learnt = dataset(source, side=16, mixed_with=(str(finer),), mixed_fraction=0.5)
    assert learnt.side == 16
    shapes = {learnt[Sample(number, number)].occupancy.shape for number in range(12)}
    assert shapes == {(16, 16, 16)}
    whole, refined = (dataset(source, "test", side=side)[Sample(0, 0)].occupancy.float() for side in (None, 16))
    assert refined.min() >= 0
    assert refined.max() <= 1
    pooled = torch.nn.functional.avg_pool3d(refined[None], 2)[0]
    assert torch.equal(pooled > 0.5, whole > 0.5)  # boxes without thin parts
    assert np.array_equal(refine_voxels(np.full((8, 8, 8), 0.25), 16), np.full((16, 16, 16), 0.25))


@pytest.mark.parametrize("side", [12, 4])
def test_a_side_that_voxels_cannot_be_refined_to_is_refused(source, side):
    with pytest.raises(ValueError, match=rf"data.path: .* has 8 voxels a side, which does not divide the {side} of"):
        dataset(source, side=side)


@pytest.mark.parametrize(("mirror", "expected"), [(False, {0.0, 90.0}), (True, {0.0, 90.0, 270.0})])
def test_cameras_are_those_of_the_pictures_and_are_mirrored_with_them(source, mirror, expected):
    items = dataset(source, views=2, augment=replace(STILL, mirror=mirror))
    cameras = torch.stack([items[Sample(number % 12, number)].cameras for number in range(48)])
    assert {CAMERA_GRID[number].azimuth for number in cameras.flatten().tolist()} == expected


def test_the_nearest_camera_is_found_across_north_and_an_unknown_one_is_said_to_be_so():
    assert camera_number(None, mirrored=False) == UNKNOWN_CAMERA
    for angles, mirrored, expected in (
        ((359.0, 12.0), False, (0.0, 10.0)),
        ((-91.0, 33.0), False, (270.0, 30.0)),
        ((100.0, -40.0), True, (255.0, -10.0)),
    ):
        camera = CAMERA_GRID[camera_number(angles, mirrored=mirrored)]
        assert (camera.azimuth, camera.elevation) == expected
