"""A training whose data fail ends in one line, with its state saved as it was before the step."""

import os
import resource
import signal

import pytest
from support.game import Numbers, same, trainer

from gancore import checkpoint
from gancore.training.loading import LoadingError


class Failing(Numbers):
    """Calls `fail` where the fourth step is read."""

    def __init__(self, fail):
        super().__init__()
        self.fail, self.read = fail, 0

    def __getitem__(self, sample):
        self.read += 1
        if self.read == 13:
            self.fail()
        return super().__getitem__(sample)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def exhaust():
    raise MemoryError("no more")


def fill_shared_memory():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@pytest.mark.parametrize(
    ("fail", "workers", "says"),
    [
        (kill, 1, r"a process that reads data was killed or ran out of memory"),
        (fill_shared_memory, 1, r"a process that reads data was killed or ran out of memory"),
        (exhaust, 1, r"reading data takes more memory than there is \(no more\)"),
        (exhaust, 0, r"reading data takes more memory than there is \(no more\)"),
    ],
)
def test_a_training_whose_data_fail_saves_its_state_and_says_why_in_one_line(tmp_path, fail, workers, says):
    with pytest.raises(LoadingError, match=rf"^{says}[^\n]*$"):
        trainer(tmp_path / "a", dataset=Failing(fail), workers=workers, checkpoint_every=100).train()
    step, state = checkpoint.load(checkpoint.find_latest(tmp_path / "a"))
    assert step in (2, 3)  # a batch that a killed process had ready went with it
    trainer(tmp_path / "b", steps=step).train()
    assert same(state, checkpoint.load(checkpoint.find_latest(tmp_path / "b"))[1])
