"""Baselines are as strong as they should be, and see nothing but training objects."""

import numpy as np
import pytest
import torch
from support.toys import boxes, picture

from voxgan.data.packed import PackedDataset, PackedObject, encode_webp, write_packed_dataset
from voxgan.evaluation.baselines import (
    PICTURE_DISTANCES,
    PICTURE_SIDE,
    PictureDistance,
    build_gallery,
    iterate_chunks,
    load_occupancies,
    mean_shapes,
    nearest_objects,
    oracle_iou,
    picture_features,
    same_class,
)
from voxgan.metrics.occupancy import iou, pairwise_iou

TRAIN = (0, 1, 2, 3, 4)
OBJECTS = (
    *(PackedObject(id=f"{n}", label=("stool", "lamp")[n % 2], cameras=((0.0, 0.0), (90.0, 0.0))) for n in range(3)),
    PackedObject(id="blind", label="lamp"),
    PackedObject(id="one", label="stool", cameras=((0.0, 0.0),)),
    PackedObject(id="test", label="stool", split="test", cameras=((0.0, 0.0), (90.0, 0.0))),
    PackedObject(id="alien", label="bed", split="test", cameras=((0.0, 0.0),)),
)


def content(number: int, item: PackedObject) -> tuple[np.ndarray, list[bytes]]:
    shape = boxes(number)
    return shape, [
        encode_webp(picture(shape, from_side=camera is not None and camera[0] > 0)) for camera in item.cameras
    ]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_packed_dataset(folder, OBJECTS, contents=[content(n, item) for n, item in enumerate(OBJECTS)], side=8)
    return PackedDataset(folder)


@pytest.fixture(scope="module")
def searched(packed):
    return build_gallery(packed, TRAIN)


def asked(packed: PackedDataset, number: int, views: int = 1) -> np.ndarray:
    """The pictures of an object as one query of one draw."""
    return np.stack([picture_features(packed.read_view(number, view)) for view in range(views)])[None, None]


def test_the_mean_shape_is_cut_where_it_fits_its_class_best(packed):
    found = mean_shapes(packed, TRAIN)
    assert set(found) == {"stool", "lamp", ""}
    stools = load_occupancies(packed, [0, 2, 4])
    scores = [
        float(iou((stools.float().mean(0) > threshold).expand_as(stools), stools).mean())
        for threshold in (0.2, 0.5, 0.8)
    ]
    assert float(iou(found["stool"].expand_as(stools), stools).mean()) == pytest.approx(max(scores))


def test_the_mean_of_one_object_is_that_object(packed):
    assert torch.equal(mean_shapes(packed, [1])["lamp"], load_occupancies(packed, [1])[0])


def test_no_training_object_is_better_than_the_oracle(packed):
    truth = load_occupancies(packed, [5, 0])
    found = oracle_iou(packed, TRAIN, truth)
    assert torch.equal(found, pairwise_iou(truth, load_occupancies(packed, TRAIN)).amax(1))
    assert found[1] == 1
    assert 0 < found[0] < 1


def test_chunks_hold_all_objects_whatever_their_size(packed, monkeypatch):
    for most in (1, 2 * 8**3, 10**6):
        monkeypatch.setattr("voxgan.evaluation.baselines.CHUNK_VOXELS", most)
        parts = list(iterate_chunks(packed, TRAIN))
        assert [index for chunk, _ in parts for index in chunk] == list(TRAIN)
        assert max(len(voxels) for _, voxels in parts) == min(max(most // 8**3, 1), 5)
        assert oracle_iou(packed, TRAIN, load_occupancies(packed, [2])) == 1


def test_classmates_are_all_objects_for_a_class_unseen(packed):
    assert same_class(packed, TRAIN, "lamp") == [1, 3]
    assert same_class(packed, TRAIN, "bed") == list(TRAIN)


def test_objects_without_pictures_are_not_searched(packed, searched):
    assert searched.objects.tolist() == [0, 1, 2, 4]
    assert searched.starts.tolist() == [0, 2, 4, 6]
    assert searched.pictures.shape == (7, 2, PICTURE_SIDE, PICTURE_SIDE)
    with pytest.raises(ValueError, match="no pictures of training objects"):
        build_gallery(packed, [3])


def test_features_are_the_framed_outline_and_the_shading_within_it():
    shape = np.zeros((80, 80, 4), np.uint8)
    shape[..., :3] = 200  # what is transparent has no shading
    shape[10:54, 10:54] = (60, 60, 60, 255)
    outline, shading = picture_features(shape).astype(int)
    moved = picture_features(np.roll(shape, (7, 5), (0, 1))).astype(int)
    assert outline.sum() / 255 / PICTURE_SIDE**2 == pytest.approx(0.88**2, abs=0.01)
    assert np.abs(shading - outline * 60 / 255).max() < 1
    assert np.array_equal(moved, np.stack([outline, shading]))


def test_a_view_that_shows_nothing_is_an_empty_picture():
    assert not picture_features(np.full((40, 40, 4), (90, 90, 90, 100), np.uint8)).any()


@pytest.mark.parametrize("distance", PICTURE_DISTANCES, ids=str)
def test_a_picture_of_a_training_object_finds_it(packed, searched, distance):
    for number, views in ((0, 2), (1, 2), (2, 2), (4, 1)):
        found = nearest_objects(asked(packed, number, views), searched, distance=distance, counts=range(1, views + 1))
        shapes = {count: packed.occupancy(int(objects[0, 0])) for count, objects in found.items()}
        assert np.array_equal(shapes[views], packed.occupancy(number))


@pytest.mark.parametrize("distance", PICTURE_DISTANCES, ids=str)
def test_retrieval_is_as_by_hand_however_the_gallery_is_cut(packed, searched, distance, monkeypatch):
    query = asked(packed, 5, 2)
    far = {}
    for n in (0, 1, 2, 4):
        own = [picture_features(packed.read_view(n, view)) for view in range(len(OBJECTS[n].cameras))]
        far[n] = [min(slow(distance, shown, other) for other in own) for shown in query[0, 0]]
    expected = {count: min(far, key=lambda n: sum(far[n][:count])) for count in (1, 2)}
    for most in (1, 3, 2048):
        monkeypatch.setattr("voxgan.evaluation.baselines.PICTURES_PER_CHUNK", most)
        found = nearest_objects(query, searched, distance=distance, counts=(1, 2))
        assert {count: int(objects[0, 0]) for count, objects in found.items()} == expected


def slow(distance: PictureDistance, ours: np.ndarray, theirs: np.ndarray) -> float:
    cut = PICTURE_SIDE // distance.pooling
    means = [
        each.astype(np.float64).reshape(2, cut, distance.pooling, cut, distance.pooling).mean((2, 4)) / 255
        for each in (ours, theirs)
    ]
    outline, shading = ((means[0] - means[1]) ** 2).sum((1, 2))
    return outline + distance.shading * shading


def test_draws_and_objects_keep_their_places(packed, searched):
    ours, other = asked(packed, 0), asked(packed, 1)
    queries = np.stack([np.stack([ours[0, 0], other[0, 0]]), np.stack([other[0, 0], ours[0, 0]])])
    found = nearest_objects(queries, searched, distance=PictureDistance(1.0), counts=[1])[1]
    assert found.tolist() == [[found[0, 0], found[0, 1]], [found[0, 1], found[0, 0]]]
    assert np.array_equal(packed.occupancy(int(found[0, 0])), packed.occupancy(0))
