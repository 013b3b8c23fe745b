"""Two processes train what one does."""

import pytest
import torch
from support.toys import packed
from support.training_voxels import GAMES, train, train_apart, weights


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return packed(tmp_path_factory.mktemp("boxes"), count=16)


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(flags, id=game, marks=pytest.mark.slow if game == "modern" else pytest.mark.long)
        for game, flags in GAMES.items()
    ],
)
def test_two_processes_train_what_one_does(source, tmp_path, flags):
    train(source, tmp_path / "1", "--train.steps", "6", *flags)
    train_apart(source, tmp_path / "2", "--train.steps", "6", *flags, processes=2)
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert all(torch.allclose(one[name], two[name], atol=1e-5, rtol=0) for name in one)
    assert any(not torch.equal(one[name], torch.zeros_like(one[name])) for name in one)
