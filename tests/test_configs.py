"""Every shipped recipe can be read, built, and says what it is for."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gancore.benchmark import count_parameters
from gancore.layers import iter_weight_layers
from gancore.parsing import parse_config, save_config, to_dict
from vidgan.animation.build import build_animator
from vidgan.animation.build import build_discriminator as build_animation_discriminator
from vidgan.animation_config import AnimationConfig
from vidgan.build import build_discriminator, build_generator
from vidgan.config import VideoConfig
from vidgan.translation.build import build_discriminator as build_translation_discriminator
from vidgan.translation.build import build_translator
from vidgan.translation_config import TranslationConfig
from voxgan.build import build_discriminator as build_voxel_discriminator
from voxgan.build import build_generator as build_voxel_generator
from voxgan.build import build_shape
from voxgan.config import VoxelConfig, VoxelEncoderConfig

ROOT = Path(__file__).resolve().parents[1]
VIDEO = sorted((ROOT / "configs" / "video").glob("*.yaml"))
TRANSLATION = sorted((ROOT / "configs" / "translation").glob("*.yaml"))
ANIMATION = sorted((ROOT / "configs" / "animation").glob("*.yaml"))
VOXELS = sorted((ROOT / "configs" / "voxels").glob("*.yaml"))
CLASSES = {"ucf101_128": 101, "dvdgan_256x48": 600}
PAPER_GENERATOR = {
    "recurrent_unit": "gru",
    "state_activation": "relu",
    "blocks_per_level": 2,
    "norm": "batch",
    "patch_size": 1,
    "latent_init": "map",
    "output": "frames",
    "latent_dim": 120,
    "embedding_dim": 120,
    "attention_after": None,
    "spectral_norm": True,
    "zero_init_residual": False,
}
PAPER_DISCRIMINATOR = {
    "variant": "dvd",
    "spatial_frames": 8,
    "downsample": 2,
    "patch_size": 1,
    "activation": "relu",
    "attention_after": None,
    "dropout": 0.0,
    "spectral_norm": True,
    "zero_init_residual": False,
}
PAPER_TRAIN = {
    "batch": 512,
    "discriminator_steps": 2,
    "generator_lr": 1e-4,
    "discriminator_lr": 5e-4,
    "beta1": 0.0,
    "beta2": 0.999,
    "warmup_steps": 0,
    "final_lr_fraction": 1.0,
    "max_grad_norm": None,
    "ema_decay": 0.9999,
    "ema_start": 20_000,
}


def read(name: str) -> VideoConfig:
    return parse_config(VideoConfig, ["--config", str(ROOT / "configs" / "video" / f"{name}.yaml")])


def picked(section: object, keys: dict[str, object]) -> dict[str, object]:
    return {key: getattr(section, key) for key in keys}


def read_voxels(name: str) -> VoxelConfig:
    return parse_config(VoxelConfig, ["--config", str(ROOT / "configs" / "voxels" / f"{name}.yaml")])


def read_translation(name: str) -> TranslationConfig:
    return parse_config(TranslationConfig, ["--config", str(ROOT / "configs" / "translation" / f"{name}.yaml")])


def read_animation(name: str) -> AnimationConfig:
    return parse_config(AnimationConfig, ["--config", str(ROOT / "configs" / "animation" / f"{name}.yaml")])


READERS = {"video": read, "translation": read_translation, "animation": read_animation, "voxels": read_voxels}
ALL = [*VIDEO, *TRANSLATION, *ANIMATION, *VOXELS]


def test_there_are_recipes():
    assert {"furniture_32", "paper_64", "paper_gan_64", "wgan_gp_32", "tiny"} <= {path.stem for path in VOXELS}
    needed = {"tiny", "paper_64_fp", "trivd_64_fp", "bair_64_fp", "kinetics600_64_fp", "ucf101_128", "dvdgan_256x48"}
    assert needed <= {path.stem for path in VIDEO}


@pytest.mark.parametrize("path", VIDEO, ids=lambda path: path.stem)
def test_a_recipe_can_be_read_and_built(path):
    config = read(path.stem)
    with torch.device("meta"):
        names = tuple(map(str, range(CLASSES.get(path.stem, 2))))
        classes = names if config.data.class_conditional else ()
        # Without the power iterations by which spectral norm starts, which take seconds even on nothing.
        plain = replace(
            config,
            generator=replace(config.generator, spectral_norm=False),
            discriminator=replace(config.discriminator, spectral_norm=False),
        )
        generator = build_generator(plain, classes=classes)
        discriminator = build_discriminator(plain, classes=classes)
    assert count_parameters(generator)
    assert list(iter_weight_layers(discriminator))
    assert config.train.batch % config.train.gradient_accumulation_steps == 0


@pytest.mark.parametrize("path", TRANSLATION, ids=lambda path: path.stem)
def test_a_translation_recipe_can_be_read_and_built(path):
    config = read_translation(path.stem)
    with torch.device("meta"):
        assert list(iter_weight_layers(build_translator(config)))
        assert list(iter_weight_layers(build_translation_discriminator(config)))
    assert config.train.batch % config.train.gradient_accumulation_steps == 0


@pytest.mark.parametrize("path", ANIMATION, ids=lambda path: path.stem)
def test_an_animation_recipe_can_be_read_and_built(path):
    config = read_animation(path.stem)
    with torch.device("meta"):
        assert list(iter_weight_layers(build_animator(config)))
        assert list(iter_weight_layers(build_animation_discriminator(config)))
    assert config.train.batch % config.train.gradient_accumulation_steps == 0


@pytest.mark.parametrize("path", VOXELS, ids=lambda path: path.stem)
def test_a_voxel_recipe_can_be_read_and_built(path):
    config = read_voxels(path.stem)
    side = 64 if path.stem.endswith("64") else 32
    with torch.device("meta"):
        shape = build_shape(config, side=side, classes=("chair", "table"))
        assert count_parameters(build_voxel_generator(config, shape))
        assert list(iter_weight_layers(build_voxel_discriminator(config, shape)))
    assert config.train.batch % config.train.gradient_accumulation_steps == 0


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recipe_begins_with_a_lab_note_that_has_a_command_with_its_name(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    note = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    assert len(note) >= 3
    command = rf"vidvox train {path.parent.name} .*--config ({path.parent.name}/)?{path.stem}\b|make demo"
    assert any(re.search(command, line) for line in note)
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recipe_comes_back_from_what_a_run_writes_down(path, tmp_path):
    config = READERS[path.parent.name](path.stem)
    written = tmp_path / "config.json"
    save_config(config, written)
    assert parse_config(type(config), ["--config", str(written)]) == config


def test_the_voxel_presets_of_the_paper_have_its_settings():
    """Wu et al. 2016: sections 3.1 to 3.3."""
    for name in ("paper_64", "paper_gan_64"):
        config = read_voxels(name)
        rates = config.train.generator_lr, config.train.discriminator_lr, config.train.beta1, config.train.batch
        assert rates == (2.5e-3, 1e-5, 0.5, 100)
        assert (config.objective.loss, config.objective.discriminator_accuracy_gate) == ("minimax", 0.8)
        assert (config.generator.latent_dim, config.generator.base_channels, config.generator.norm) == (
            200,
            64,
            "batch",
        )
        assert (config.discriminator.base_channels, config.discriminator.norm) == (64, "batch")
        assert not any((config.objective.penalties.r1, config.objective.penalties.r2))
    assert read_voxels("paper_gan_64").generator.latent_prior == "uniform"
    game = read_voxels("paper_64").objective
    assert (
        game.update_order,
        game.kl_weight,
        game.l2_weight,
        game.mean_bce_weight,
        game.sum_bce_weight,
        game.soft_iou_weight,
    ) == (
        "three-step",
        5,
        1e-4,
        0,
        0,
        0,
    )
    assert read_voxels("paper_64").encoder == VoxelEncoderConfig(kind="paper", size=256, mask=False)


def test_the_wasserstein_preset_has_the_settings_of_its_paper():
    """Gulrajani et al. 2017, algorithm 1, at the rates of Smith and Meger 2017."""
    config = read_voxels("wgan_gp_32")
    assert (config.objective.loss, config.objective.penalties.gradient_penalty) == ("wasserstein", 10)
    assert (config.train.discriminator_steps, config.discriminator.norm) == (5, "none")
    train = config.train
    assert (train.generator_lr, train.discriminator_lr, train.beta1, train.beta2) == (1e-4, 1e-4, 0.5, 0.9)


@pytest.mark.parametrize("name", ["paper_64_fp", "dvdgan_256x48"])
def test_the_paper_preset_has_the_settings_of_the_paper(name):
    config = read(name)
    assert picked(config.generator, PAPER_GENERATOR) == PAPER_GENERATOR
    assert picked(config.discriminator, PAPER_DISCRIMINATOR) == PAPER_DISCRIMINATOR
    assert picked(config.train, PAPER_TRAIN) == PAPER_TRAIN
    assert config.generator.base_channels == config.discriminator.base_channels == 128
    game = to_dict(config.objective)
    assert (game["loss"], game["adversarial_weight"], game["adversarial_ramp"], game["reconstruction_weight"]) == (
        "hinge",
        1.0,
        0.0,
        0.0,
    )
    assert (game["penalties"]["r1"], game["penalties"]["r2"], game["penalties"]["gradient_penalty"]) == (0.0, 0.0, 0.0)
    assert (game["augment"]["probability"], game["instance_noise"], game["clip_weights"]) == (0.0, 0.0, None)


def test_the_paper_predictor_stacks_its_context_and_the_full_size_model_makes_256_pixels_in_48_frames():
    assert read("paper_64_fp").generator.context_encoder == "stack"
    full = read("dvdgan_256x48")
    assert (full.data.height, full.data.width, full.data.clip_frames, full.data.stride) == (256, 256, 48, 2)
    assert full.generator.spatial_stride * 4 == 256
    assert full.generator.segment_steps > 0


def test_trivd_differs_from_the_paper_preset_in_its_unit_and_its_split_alone():
    paper, trivd = read("paper_64_fp"), read("trivd_64_fp")
    moved = replace(paper.generator, recurrent_unit="tsru-p")
    assert trivd == replace(
        paper, run=trivd.run, generator=moved, discriminator=replace(paper.discriminator, variant="trivd")
    )


def test_published_sizes_stay_what_the_lab_notes_say():
    """In millions: (generator, discriminators)."""
    expected = {"paper_64_fp": (506, 315), "trivd_64_fp": (445, 315), "dvdgan_256x48": (333, 619)}
    for name, sizes in expected.items():
        config = read(name)
        with torch.device("meta"):
            plain = replace(
                config,
                generator=replace(config.generator, spectral_norm=False),
                discriminator=replace(config.discriminator, spectral_norm=False),
            )
            classes = tuple(map(str, range(CLASSES.get(name, 0))))
            generator = build_generator(plain, classes=classes)
            discriminator = build_discriminator(plain, classes=classes)
        counts = (sum(p.numel() for p in model.parameters()) for model in (generator, discriminator))
        assert tuple(round(count / 1e6) for count in counts) == sizes
        assert f"{sizes[0]} M parameters in the generator" in (ROOT / "configs/video" / f"{name}.yaml").read_text()
