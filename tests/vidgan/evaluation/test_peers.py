"""Plain networks of the literature have the size asked for, learn, and predict clips of any size."""

import pytest
import torch
from support.tiny import clips

from vidgan.data.dataset import open_dataset
from vidgan.data_config import VideoDataConfig
from vidgan.evaluation.peers import build_peer, count_parameters, predict_frames, train_peer

PEERS = pytest.mark.parametrize("name", ["convlstm", "simvp"])


def built(name: str, *, parameters: int = 30_000):
    torch.manual_seed(0)
    return build_peer(name, parameters=parameters, channels=1, context_frames=3, steps=2)


@PEERS
def test_a_peer_has_about_as_many_parameters_as_asked_for(name):
    assert count_parameters(built(name, parameters=1_500_000)) == pytest.approx(1_500_000, rel=0.1)


@PEERS
@pytest.mark.parametrize("size", [(16, 16), (17, 22), (5, 9)])
def test_frames_of_any_size_are_predicted_at_their_size(name, size):
    past = clips(2, frames=3, height=size[0], width=size[1])
    assert predict_frames(built(name), past, 2).shape == (2, 2, 1, *size)


@PEERS
def test_every_past_frame_counts(name):
    network, past = built(name).eval(), clips(1, frames=3)
    before = predict_frames(network, past, 2)
    for number in range(3):
        other = past.clone()
        other[:, number] *= -1
        assert not torch.allclose(predict_frames(network, other, 2), before)


@PEERS
def test_a_peer_learns_and_a_seed_repeats_it(name):
    config = VideoDataConfig(channels=1, clip_frames=5, context_frames=3, height=16, width=16, digits=1)
    dataset = open_dataset(config, split="train")

    def trained(steps: int) -> tuple[torch.nn.Module, float]:
        network = built(name)
        done, error = train_peer(
            network, dataset, context_frames=3, minutes=5.0, steps=steps, batch=2, learning_rate=0.01
        )
        assert done == steps
        return network, error

    (first, error), (again, same_error) = trained(2), trained(2)
    assert error == same_error
    assert all(a.equal(b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert trained(20)[1] < trained(1)[1] - 0.2
