"""Style generators in the commands and in Python: generated, interpolated, carded, exported, measured as the others."""

import numpy as np
import pytest
import torch
from support.exported import Exported
from support.styles import clip_generator, object_generator

import vidvox
from vidgan.files.video import read_clip
from vidvox.model_card import ModelCard, write_model_card


@pytest.fixture(scope="module")
def built():
    """A generator of clips and one of objects, with mean styles."""
    torch.manual_seed(0)
    clips, objects = clip_generator(classes=("left", "right")), object_generator(classes=("lamp", "stool"))
    for model in (clips, objects):
        latent, labels = torch.randn(8, 36), torch.arange(8) % 2
        model.style.mapping.track(model.map_latents(latent[:, :6], labels)[:, 0])
    return {"clips": clips, "objects": objects}


@pytest.fixture(scope="module")
def models(built, tmp_path_factory):
    """The folder of both."""
    folder = tmp_path_factory.mktemp("styles")
    for name, model in built.items():
        model.save_pretrained(folder / name)
    return folder


def test_what_is_loaded_computes_what_was_saved(models, built):
    for name, size in {"clips": 36, "objects": 6}.items():
        model, latent, labels = built[name], torch.randn(2, size), torch.tensor([0, 1])
        loaded = vidvox.load(models / name).network
        with torch.no_grad():
            torch.testing.assert_close(loaded(latent, labels), model.eval()(latent, labels), rtol=0, atol=0)


def test_clips_come_longer_slower_and_truncated(models, tmp_path, run_vidvox):
    model = vidvox.load(models / "clips")
    long, slow = model.generate(2, steps=13), model.generate(2, steps=13, interval=0.5)
    assert long.frames.shape == (2, 13, 1, 20, 16)
    assert (slow.frames[:, ::2].int() - long.frames[:, :7].int()).abs().max() <= 1
    assert (slow.frames[:, 1].int() - slow.frames[:, 0].int()).abs().max() > 0
    network, latent, labels = model.network, torch.randn(2, 36), torch.zeros(2, dtype=torch.long)
    latent[1, 6:] = latent[0, 6:]  # after six numbers of the content come those of the motion
    with torch.no_grad():
        one, other = network(latent, labels, truncation=0.0)
        free, also = network(latent, labels)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert (free - also).abs().max() > 0.01
    command = ["generate", models / "clips", "-n", "2", "--interval", "0.25", "--truncation", "0.7"]
    assert run_vidvox(*command, "-o", tmp_path / "slow.npy", "--cpu").code == 0
    assert np.load(tmp_path / "slow.npy").shape == (2, 6, 1, 20, 16)
    assert run_vidvox(*command[:-2], "-o", tmp_path / "slow.gif", "--cpu").code == 0
    assert len(read_clip(tmp_path / "slow.gif").frames) == 6


def test_a_labelled_set_has_the_frames_of_the_interval(models, tmp_path, run_vidvox):
    made = ["generate", models / "clips", "-n", "2", "--interval", "0.25", "--dataset", tmp_path / "set", "--cpu"]
    assert run_vidvox(*made).code == 0
    wanted = vidvox.load(models / "clips").generate(2, interval=0.25).frames
    for number, label in enumerate(("left", "right")):
        stored = np.load(tmp_path / "set" / label / f"{number:05d}.npy")
        assert np.array_equal(stored, wanted[number].permute(0, 2, 3, 1).numpy())


def test_a_labelled_set_of_objects_is_truncated(models, tmp_path, run_vidvox):
    made = ["generate", models / "objects", "--truncation", "0.5", "--dataset", tmp_path / "set", "--threshold", "0.1"]
    assert run_vidvox(*made, "--cpu").code == 0
    network, stored = vidvox.load(models / "objects").network, np.load(tmp_path / "set" / "lamp" / "00000.npy")
    truncated, free = (network.sample(1, label="lamp", truncation=share)[0].numpy() > 0.1 for share in (0.5, None))
    assert np.array_equal(stored, truncated)
    assert not np.array_equal(stored, free)


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--interval", "0"], "interval must be above 0 and finite"),
        (["--truncation", "-1"], "truncation must be at least 0 and finite"),
        (["--label", "up"], "unknown class 'up'"),
    ],
)
def test_what_cannot_be_is_one_line_and_code_2(models, tmp_path, run_vidvox, flags, complaint):
    told = run_vidvox("generate", models / "clips", "-o", tmp_path / "x.gif", "--cpu", *flags)
    assert told.code == 2
    assert complaint in told.err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_objects_are_interpolated_and_truncated(models, tmp_path, run_vidvox):
    way = ["generate", models / "objects", "--class", "lamp", "-n", "3", "--threshold", "0.05", "--cpu"]
    assert run_vidvox(*way, "--latents", "1,2", "--truncation", "0.5", "-o", tmp_path / "way.glb").code == 0
    assert len(list(tmp_path.glob("way-*.glb"))) == 3
    network = vidvox.load(models / "objects").network
    ends = [network.sample(1, seed=seed, label="lamp", truncation=0.5)[0] for seed in (1, 2)]
    assert (ends[0] - ends[1]).abs().max() > 1e-3


def test_cards_tell_of_the_style(models):
    for name, word in {"clips": "VideoGenerator", "objects": "VoxelGenerator"}.items():
        card = write_model_card(ModelCard(repo=f"me/{name}"), models / name)
        assert word in card
        assert '"kind": "style"' in card


@pytest.mark.slow
@pytest.mark.parametrize("name", ["clips", "objects"])
def test_exported_models_compute_what_the_networks_compute(models, tmp_path, name):
    exported = Exported(models / name, tmp_path, ".onnx")
    ((graph, ports),) = exported.graphs.items()
    size = ports["inputs"]["latent"]["shape"][1]
    latent, labels = torch.randn(3, size), torch.tensor([0, 1, 0])
    network = vidvox.load(models / name).network
    with torch.no_grad():
        wanted = network(latent, labels)
    wanted = wanted.sigmoid() if name == "objects" else wanted
    (found,) = exported.run(graph, latent=latent.numpy(), label=labels.numpy()).values()
    assert graph == {"clips": "generate", "objects": "decode"}[name]
    assert np.abs(found - wanted.numpy()).max() <= 1e-4
