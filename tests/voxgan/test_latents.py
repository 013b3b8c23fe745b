"""Where latents come from other than noise, and the ways and sums between them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image
from support.toys import boxes, generator, image_to_voxels, picture

from voxgan.commands import ExportConfig
from voxgan.export import choose_latents, export_meshes
from voxgan.files.voxels import write_occupancy
from voxgan.latents import find_latent, interpolate_sequence, project_object
from voxgan.networks.image_to_voxels import ImageToVoxels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A picture and voxels of an object, a mesh of a box, and an untrained model."""
    folder = tmp_path_factory.mktemp("things")
    Image.fromarray(picture(boxes(1), from_side=False)).save(folder / "one.png")
    write_occupancy(folder / "one.npy", boxes(1).astype(bool))
    trimesh.creation.box([1.0, 0.5, 0.5]).export(folder / "box.stl")
    half_full(image_to_voxels()).save_pretrained(folder / "pictures")
    return folder


def half_full(model):
    """The model with objects that fill about half of space."""
    network = getattr(model, "generator", model)
    with torch.no_grad():
        network.offset.fill_(0.0)
    return model


def settings(folder: Path, *latents: str, **changes) -> ExportConfig:
    return ExportConfig(model=str(folder / "pictures"), latents=latents, cpu=True, **changes)


@pytest.mark.parametrize("ending", ["avif", "bmp", "TIFF"])
def test_pictures_of_any_format_have_latents(folder, tmp_path, ending):
    with Image.open(folder / "one.png") as image:
        image.save(tmp_path / f"one.{ending}")
    model = image_to_voxels()
    found, said = find_latent(str(tmp_path / f"one.{ending}"), model, settings(folder))
    assert said.startswith("picture ")
    assert torch.equal(found, model.encode([tmp_path / f"one.{ending}"]).mean)


def test_latents_of_seeds_and_pictures_are_those_that_make_their_objects(folder):
    model, config = image_to_voxels(), settings(folder)
    seed, said = find_latent("7", model, config)
    assert torch.equal(seed, model.generator.latent_from_seed(7))
    assert said == "seed 7"
    seen, said = find_latent(str(folder / "one.png"), model, config)
    assert torch.equal(seen, model.encode([folder / "one.png"]).mean)
    assert said == f"picture {folder / 'one.png'}"


@pytest.mark.parametrize("make", [image_to_voxels, generator])
@pytest.mark.parametrize("name", ["one.npy", "box.stl"])
def test_a_projection_is_more_like_the_object_than_where_it_began(folder, make, name):
    model = half_full(make())
    latent, before, after = project_object(folder / name, model, steps=60)
    assert latent.shape == (1, 6)
    assert 0 <= before < after <= 1
    assert latent.requires_grad is False
    again, _, _ = project_object(folder / name, model, steps=60)
    assert torch.equal(latent, again)
    assert all(weight.grad is None for weight in model.parameters())


def test_an_object_that_the_model_makes_is_found_again(tmp_path):
    model = half_full(generator())
    made = model.sample(1, seed=3)[0] > 0.5
    write_occupancy(tmp_path / "made.npy", made.numpy())
    _, _, after = project_object(tmp_path / "made.npy", model, steps=200)
    assert after > 0.85


def test_a_file_of_several_objects_is_refused(tmp_path):
    np.save(tmp_path / "two.npy", np.stack([boxes(0), boxes(1)]))
    with pytest.raises(ValueError, match=r"two\.npy"):
        project_object(tmp_path / "two.npy", generator(), steps=1)


def test_a_way_passes_through_all_latents_in_turn():
    latents = [torch.randn(1, 5, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    way = interpolate_sequence(latents, 9)
    assert way.shape == (9, 5)
    for place, latent in zip((0, 4, 8), latents, strict=True):
        assert torch.allclose(way[place], latent[0], atol=1e-5)
    assert torch.equal(interpolate_sequence(latents[:1], 1), latents[0])


def test_a_weighted_sum_of_latents_is_one_object(folder):
    model = image_to_voxels()
    config = settings(folder, "3", str(folder / "one.png"), "5", weights=(1.0, -0.5, 2.0))
    latents = [find_latent(given, model, config)[0] for given in config.latents]
    expected = latents[0] - 0.5 * latents[1] + 2 * latents[2]
    assert torch.allclose(choose_latents(model, config), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["one.png", "box.stl"])
def test_a_class_that_would_change_nothing_is_refused(folder, name):
    toy = image_to_voxels(("lamp", "stool"))
    aggregate = replace(toy.generator.config, latent_prior="aggregate")
    model = ImageToVoxels(toy.encoder.config, aggregate, toy.shape).eval()
    chosen = settings(folder, class_="lamp")
    assert find_latent("7", model, chosen)[0].shape == (1, 6)
    with pytest.raises(ValueError, match=rf"^class 'lamp' has no effect for .*{name}: .* only for objects from noise$"):
        find_latent(str(folder / name), model, chosen)
    assert find_latent(str(folder / name), toy, chosen)[0].shape == (1, 6)


def test_what_was_made_of_a_file_is_said_and_written(folder, tmp_path, capsys):
    config = settings(folder, str(folder / "box.stl"), out=tmp_path / "o.stl", projection_steps=3, threshold=0.2)
    (made,) = export_meshes(config)
    assert made.mesh.is_volume
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "projected" in each]
    assert line.startswith(f"{folder / 'box.stl'}: projected, IoU 0.")
    assert line.endswith(" after 3 steps")


def test_a_truncation_brings_objects_from_noise_closer_together(folder):
    model = image_to_voxels()
    free, near, typical = (
        choose_latents(model, settings(folder, count=20, truncation=truncation)) for truncation in (None, 0.5, 0.0)
    )
    assert free.abs().max() > 1
    assert 0.4 < near.abs().max() <= 0.5
    assert not typical.any()
    drawn = settings(folder, "3", "4", count=2, truncation=0.5)
    assert choose_latents(model, drawn).abs().max() <= 0.5 + 1e-6
