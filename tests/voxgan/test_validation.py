"""What is shown and measured while a voxel model trains: the right file and scores, and nothing changed by looking."""

import numpy as np
import pytest
import torch
from PIL import Image
from support.toys import ENCODER, GENERATOR, generator, image_to_voxels, packed

from gancore.data import Sample
from voxgan.build import picture_spec
from voxgan.config import VoxelDataConfig
from voxgan.data.dataset import VoxelDataset
from voxgan.networks.image_to_voxels import ImageToVoxels
from voxgan.rendering.raycast import Camera
from voxgan.validation import (
    CAPTION_HEIGHT,
    TILE_SIDE,
    VoxelPreview,
    VoxelValidation,
    comparison_captions,
    render_tile,
)


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    source = packed(tmp_path_factory.mktemp("boxes"), count=16)
    return VoxelDataset(VoxelDataConfig(path=str(source), views=2), picture_spec(ENCODER), split="val")


@pytest.mark.parametrize("make", [image_to_voxels, generator])
def test_a_preview_changes_neither_the_model_nor_the_random_numbers_of_the_run(make, held_out, tmp_path):
    model, state = make(), torch.get_rng_state()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    evaluation = VoxelValidation(dataset=held_out, from_images=make is image_to_voxels)
    first = evaluation(model)
    VoxelPreview(dataset=held_out)(model, 7, tmp_path)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert evaluation(model) == first
    assert evaluation.best_metric.partition(" ")[2] in first
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000007.png"]


def test_reconstructions_are_scored_by_the_number_of_views(held_out):
    class Perfect(ImageToVoxels):
        """Knows the answer."""

        def forward(self, views, *_):
            true = torch.stack([held_out[sample][1] for sample in (Sample(0, 0), Sample(1, 0))]).float()
            return (true - 0.5) * (20 if views.shape[1] == 2 else -20)

    model = Perfect(ENCODER, GENERATOR, image_to_voxels().shape).eval()
    scores = VoxelValidation(dataset=held_out, from_images=True)(model)
    assert scores["held_out/iou@0.5/2_views"] == 1
    assert scores["held_out/iou@0.5/1_views"] == 0
    assert 0 <= scores["generated/distance"] <= 1


def test_the_columns_of_a_sheet_are_captioned(held_out, tmp_path):
    assert comparison_captions(1)[:3] == ["given view", "ground truth\nfrom 30°", "reconstruction\nfrom 30°"]
    assert len(comparison_captions(2)) == 6
    VoxelPreview(dataset=held_out)(image_to_voxels(), 3, tmp_path)
    pixels = np.asarray(Image.open(tmp_path / "step-00000003.png"))
    rows = 2 + 3  # of two held-out objects, and of 16 samples in rows of six
    assert pixels.shape == (2 * CAPTION_HEIGHT + rows * (TILE_SIDE + 2) + 2 * 2, 6 * (TILE_SIDE + 2) + 2, 3)
    for column in range(6):
        left = 2 + column * (TILE_SIDE + 2)
        assert (pixels[:CAPTION_HEIGHT, left : left + TILE_SIDE] < 100).any()


def test_a_sheet_shows_pictures_and_objects_and_paper_where_there_is_none(held_out, tmp_path):
    VoxelPreview(dataset=held_out)(image_to_voxels(), 3, tmp_path)
    assert np.asarray(Image.open(tmp_path / "step-00000003.png")).std() > 10
    assert (render_tile(np.zeros((8, 8, 8), np.float32), Camera()) == 255).all()
    solid = np.zeros((8, 8, 8), np.float32)
    solid[2:6, 2:6, 2:6] = 1
    assert (render_tile(solid, Camera()) < 250).any()
