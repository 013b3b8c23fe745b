"""Labelled data sets of objects from noise, as voxels."""

from collections.abc import Iterator
from typing import Any

from gancore.device import select_device
from gancore.files.labelled_set import LabelledArray, write_labelled_set
from gancore.model_files import describe_origin
from voxgan.commands import ExportConfig
from voxgan.networks.image_to_voxels import load_model, object_generator


def generate_labelled_set(config: ExportConfig) -> dict[str, Any]:
    """Write a labelled data set of objects that a model generates into a new folder, and return its manifest.

    Object n has the seed `seed` + n and the requested class, or all classes in turn. A voxel is filled where its
    probability is above the threshold. Raises ValueError if the model cannot be read, has no classes or not the
    requested one, or the folder is not empty.
    """
    assert config.dataset is not None
    model = load_model(config.model)
    generator = object_generator(model).to(select_device(cpu=config.cpu))
    classes = [config.class_] if config.class_ else list(generator.shape.classes)
    if not generator.shape.classes:
        raise ValueError(f"{config.model} was trained without classes: its objects have no labels")

    def make() -> Iterator[LabelledArray]:
        for number in range(config.count):
            label = classes[number % len(classes)]
            latent = generator.latent_from_seed(config.seed + number, label=label, truncation=config.truncation)
            occupancy = generator.decode(latent, label=label, truncation=config.truncation)[0]
            yield LabelledArray(label, occupancy.numpy() > config.threshold)

    origin = describe_origin(config.model, seed=config.seed, truncation=config.truncation, licence=config.licence)
    origin["threshold"] = config.threshold
    return write_labelled_set(config.dataset, make(), kind="voxels", provenance=origin, shard_size=config.shard_size)
