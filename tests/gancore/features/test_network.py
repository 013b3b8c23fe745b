"""Features are kept by the content of clips, and computed anew where what was kept is not theirs."""

import pytest
import torch
from torch import nn

from gancore.features.network import compute_features


class Averages(nn.Module):
    """Mean and deviation of each clip."""

    name, distance_name, weights_sha256, preprocessing = "averages", "Frechet distance (averages)", "", "none"
    feature_dim, min_frames, per_frame = 2, 1, False

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, clips):
        self.seen += len(clips)
        flat = clips.flatten(1).float()
        return torch.stack([flat.mean(1), flat.std(1)], 1)


def test_features_are_computed_once_for_each_content(tmp_path):
    clips = torch.randint(256, (5, 2, 1, 4, 4), dtype=torch.uint8)
    network = Averages()
    plain = torch.cat(list(compute_features(network, clips.split(2))))
    network.seen = 0
    first = torch.cat(list(compute_features(network, clips.split(3), cache=tmp_path)))
    again = torch.cat(list(compute_features(network, clips.flip(0).split(2), cache=tmp_path))).flip(0)
    assert network.seen == 5
    assert torch.equal(first, again)
    torch.testing.assert_close(first, plain)
    list(compute_features(network, [clips[:1] ^ 1], cache=tmp_path))
    assert network.seen == 6


def test_other_weights_or_shapes_are_other_features(tmp_path):
    clips = torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8)
    network = Averages()
    for batch in (clips, clips.reshape(1, 4, 3, 2, 4), clips[:, :1]):
        list(compute_features(network, [batch], cache=tmp_path))
    network.weights_sha256 = "others"
    list(compute_features(network, [clips], cache=tmp_path))
    assert network.seen == 4
    assert len(list(tmp_path.rglob("*.npy"))) == 4


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "foreign", "other torch"])
def test_damaged_or_foreign_features_are_computed_anew(tmp_path, monkeypatch, damage):
    clips = torch.randint(256, (2, 2, 1, 4, 4), dtype=torch.uint8)
    network = Averages()
    (plain,) = compute_features(network, [clips], cache=tmp_path)
    first, second = sorted(tmp_path.rglob("*.npy"))
    sound = first.read_bytes()
    flipped = bytearray(sound)
    flipped[-40] ^= 1
    damaged = {"empty": b"", "cut": sound[:-5], "flipped": bytes(flipped), "foreign": second.read_bytes()}
    first.write_bytes(damaged.get(damage, sound))
    if damage == "other torch":
        monkeypatch.setattr(torch, "__version__", "0")
    (again,) = compute_features(network, [clips], cache=tmp_path)
    assert torch.equal(again, plain)
    assert network.seen == (4 if damage == "other torch" else 3)
