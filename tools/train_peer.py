"""Train a ConvLSTM or SimVP baseline for a given time: python tools/train_peer.py simvp --data.path VIDEOS -o peer."""

from dataclasses import dataclass, field
from pathlib import Path

from gancore.files.outputs import check_new_folder
from gancore.parsing import parse_config, report_user_errors
from vidgan.data_config import VideoDataConfig


@dataclass(frozen=True, kw_only=True)
class PeerConfig:
    """Train a published network with squared error as a baseline, and write its predictions for held-out clips.

    The output folder holds truth/ and predictions/ for `vidvox evaluate`. For a fair comparison with a model of this
    package, give both the same clips, number of parameters and training time on the same machine.
    """

    network: str
    """convlstm (Shi et al. 2015) or simvp (Gao et al. 2022)."""

    out: Path
    """New folder for truth/ and predictions/, lossless."""

    data: VideoDataConfig = field(default_factory=VideoDataConfig)
    """The data, whose training split is trained on."""

    ground_truth: Path | None = None
    """Folder of clips to predict, past included, of any size; the test split if not given."""

    max_items: int = 256
    """Clips of the test split to predict, evenly spaced."""

    minutes: float = 30.0
    """Minutes of training; the learning rate falls to 0 over them."""

    steps: int | None = None
    """Maximum number of updates; a run that ends by it is reproducible on a CPU."""

    parameters: int = 1_500_000
    """Target number of parameters, by which the width of the network is chosen."""

    batch: int = 8
    """Clips per update."""

    learning_rate: float = 1e-3
    """Learning rate of Adam at the start."""

    seed: int = 0
    """Seed of the weights and of the order of the clips."""

    cpu: bool = False
    """Use the CPU even if there is a GPU."""

    def __post_init__(self) -> None:
        if self.network not in ("convlstm", "simvp"):
            raise ValueError(f"network should be convlstm or simvp, not {self.network}")
        if self.data.past_degradations:
            raise ValueError("data.past_degradations: these networks are trained and measured on clean pasts")
        for name in ("max_items", "minutes", "parameters", "batch", "learning_rate"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if self.steps is not None and self.steps < 1:
            raise ValueError(f"steps must be at least 1, got {self.steps}")
        if not self.data.context_frames:
            raise ValueError("data.context_frames is 0: a prediction needs a past")


@report_user_errors
def main() -> None:
    config = parse_config(PeerConfig, positional=["network"])
    check_new_folder(config.out, "out")
    train_and_predict(config)


def train_and_predict(config: PeerConfig) -> None:
    """Train the network, and write true and predicted clips."""
    import torch  # imported only after the settings have been checked

    from gancore.data import Sample, evenly_spaced
    from gancore.device import select_device
    from vidgan.data.batch import collate
    from vidgan.data.dataset import open_dataset
    from vidgan.evaluation.peers import build_peer, count_parameters, predict_frames, train_peer
    from vidgan.evaluation.predictions import open_ground_truth, write_clip_pair
    from vidgan.frames import to_uint8

    data, device = config.data, select_device(cpu=config.cpu)
    context, future = data.context_frames, data.clip_frames - data.context_frames
    if config.ground_truth:
        true = open_ground_truth(config.ground_truth, context_frames=context, channels=data.channels)
        if true.clip_frames != data.clip_frames:
            raise ValueError(f"data.clip_frames is {data.clip_frames}, and the clips have {true.clip_frames} frames")
        indices = list(range(len(true)))
    else:
        true = open_dataset(data, split="test")
        indices = evenly_spaced(len(true), count=config.max_items)
    torch.manual_seed(config.seed)
    network = build_peer(
        config.network, parameters=config.parameters, channels=data.channels, context_frames=context, steps=future
    ).to(device)
    print(f"{config.network}: {count_parameters(network):,} parameters, {len(indices)} clips to predict", flush=True)
    steps, loss = train_peer(
        network,
        open_dataset(data, split="train"),
        context_frames=context,
        minutes=float(config.minutes),
        steps=config.steps,
        batch=config.batch,
        learning_rate=config.learning_rate,
        workers=data.workers,
        seed=config.seed,
    )
    print(f"{steps} steps; mean squared error of the last {loss:.5f}, for values in [-1, 1]", flush=True)
    with torch.inference_mode():
        for number, index in enumerate(indices):
            batch = collate([true[Sample(index, config.seed)]], context).to(device)
            futures = predict_frames(network, batch.past, future)[:, None]
            write_clip_pair(config.out, number, to_uint8(batch.frames)[0].cpu(), to_uint8(futures)[0].cpu())
    print(
        f"vidvox evaluate video --predictions {config.out}/predictions --ground_truth {config.out}/truth "
        f"--context_frames {context}"
    )


if __name__ == "__main__":
    main()
