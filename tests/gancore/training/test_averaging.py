"""The moving average of a network's weights."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gancore.training.averaging import MovingAverage


def moved(network: nn.Module, step: int) -> nn.Module:
    """The network after a step of a training."""
    random = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += torch.randn(parameter.shape, generator=random)
        network(torch.randn(4, 3, generator=random))
    return network


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5))


def test_the_average_is_that_of_torch_and_goes_on_from_what_torch_saved():
    def follow(average: Tensor, now: Tensor, count: Tensor) -> Tensor:
        return torch.lerp(now, average, min(0.8, (1 + float(count)) / (10 + float(count))))

    trained = network()
    ours, theirs = MovingAverage(trained), AveragedModel(trained, avg_fn=follow)
    for step in range(40):
        moved(trained, step)
        ours.update(trained, decay=0.8)
        theirs.update_parameters(trained)
        if step == 20:
            again = MovingAverage(network())
            again.load_state_dict(theirs.state_dict())
            assert again.count == 21
            ours = again
        assert ours.state_dict().keys() == theirs.state_dict().keys()
        for name, value in theirs.state_dict().items():
            torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-6, atol=1e-6)


def test_what_was_saved_and_loaded_goes_on_to_the_bit():
    trained = network()
    whole = MovingAverage(trained)
    for step in range(12):
        whole.update(moved(trained, step), decay=0.9)
        if step == 5:
            resumed = MovingAverage(network())
            resumed.load_state_dict(whole.state_dict())
        if step > 5:
            resumed.update(trained, decay=0.9)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    assert not torch.equal(whole.module[0].weight, trained[0].weight)
