"""The training loop of a two-player game: update, average, log, show, checkpoint, resume. It knows no domain."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, Protocol, cast, get_args, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.utils import tqdm
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from gancore import checkpoint
from gancore.config import save
from gancore.data import Draws, EndlessBatches, mix
from gancore.hub import HubModel
from gancore.report import JsonLines, TensorBoard, Trackers
from gancore.schedule import TrainConfig
from gancore.signals import leave_signals_to_parent, stop_signals

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, ...] = get_args(Player)


@dataclass(frozen=True)
class Turn:
    """Where training stands, and the random numbers of one player's turn."""

    step: int
    progress: float
    """Share of the training that is done, in [0, 1]."""
    draws: Draws
    mean: Callable[[Tensor], Tensor] = torch.clone
    """Averages a number over the processes; all of them must ask."""


@runtime_checkable
class Batch(Protocol):
    """What the objective is played on."""

    def __len__(self) -> int: ...

    def to(self, device: torch.device) -> "Batch": ...


@runtime_checkable
class Objective(Protocol):
    """A game: the weighted terms of both players by name, whose sum is what each minimises."""

    @property
    def parts(self) -> Sequence[str]:
        """Parts of the generator that move one after the other, each by its `<part>_terms`; none if it moves whole."""

    def discriminator_terms(
        self, generator: nn.Module, discriminator: nn.Module, batch: Any, turn: Turn
    ) -> Mapping[str, Tensor]: ...

    def generator_terms(
        self, generator: nn.Module, discriminator: nn.Module, batch: Any, turn: Turn
    ) -> Mapping[str, Tensor]: ...

    def constrain(self, discriminator: nn.Module) -> None:
        """What is done to the discriminator's weights after each of its updates, such as clipping them."""


Preview = Callable[[nn.Module, int, Path], Mapping[str, float]]
"""Shows what the averaged generator does: (generator, step, folder) -> metrics; runs in the main process alone."""


class Trainer:
    """Two players, one loop. All that must resume derives from the step: data order, random numbers, learning rate."""

    def __init__(
        self,
        run: Path,
        config: TrainConfig,
        *,
        generator: HubModel,
        discriminator: nn.Module,
        objective: Objective,
        dataset: Sized,
        collate: Callable[[Sequence[Any]], Batch],
        workers: int = 0,
        preview: Preview | None = None,
        accelerator: Accelerator,
    ):
        """Raises ValueError if the batch cannot be shared out evenly."""
        self.run, self.config, self.objective, self.preview = run, config, objective, preview
        self.accelerator = accelerator
        self.dataset, self.collate, self.workers = dataset, collate, workers
        parts = accelerator.num_processes * config.accumulate
        if config.batch % parts:
            raise ValueError(
                f"train.batch ({config.batch}) must be a multiple of processes x train.accumulate ({parts})"
            )
        self.micro_batch = config.batch // parts
        self.generator: HubModel = self._placed(generator)
        self.discriminator = self._placed(discriminator)
        self.average = AveragedModel(self.generator, avg_fn=self._averaged, use_buffers=False)
        self.averaged = cast(HubModel, self.average.module.eval())
        betas = (config.beta1, config.beta2)
        self.optimizers = {
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), config.discriminator_lr, betas),
            "generator": torch.optim.Adam(self.generator.parameters(), config.generator_lr, betas),
        }
        self.step = 0

    def _placed(self, module: Any) -> Any:
        module = module.to(self.accelerator.device).train()
        for tensor in (*module.parameters(), *module.buffers()):
            self._from_main(tensor.data)
        if self.config.channels_last:
            formats = {4: torch.channels_last, 5: torch.channels_last_3d}
            for parameter in module.parameters():
                if parameter.ndim in formats:
                    parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])
        if self.config.compile:
            module.compile()
        return module

    def _from_main(self, tensor: Tensor) -> None:
        if self.accelerator.num_processes > 1:
            torch.distributed.broadcast(tensor, 0)

    def _averaged(self, average: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        if self.step < self.config.average_start:
            return now
        decay = min(self.config.average, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(now, average, decay)

    # ---------------------------------------------------------------------------------------------- the loop

    def train(self) -> bool:
        """Trains to the last step, from the newest checkpoint if there is one; False if it was stopped before.

        Raises ValueError if the checkpoint is of another architecture or a loss is no longer finite.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        self.resume()
        config, first, begun = self.config, self.step, time.monotonic()
        batches = iter(self._loader())
        bar = tqdm(total=config.steps, initial=first, unit="step", dynamic_ncols=True, mininterval=1.0)
        seen: defaultdict[str, list[float]] = defaultdict(list)
        with stop_signals() as stop, bar, self._trackers() as trackers:
            while self.step < config.steps:
                for name, value in self.play(batches).items():
                    seen[name].append(value)
                self.step += 1
                speed = config.batch * (self.step - first) / (time.monotonic() - begun)
                if self.step % config.log_every == 0:
                    shown = {name: fmean(values) for name, values in seen.items()}
                    seen.clear()
                    bar.set_postfix({"samples/s": f"{speed:.1f}"} | _short(shown))
                    trackers.log(self.step, shown | {"lr_share": config.lr_share(self.step - 1), "speed": speed})
                bar.update()
                if config.preview_every and self.step % config.preview_every == 0:
                    trackers.log(self.step, self._show())
                late = config.minutes and time.monotonic() - begun > 60 * config.minutes
                if self._any(bool(stop or late)):
                    break
                if self.step % config.checkpoint_every == 0 and self.step < config.steps:
                    self.save()
        if self.step > first:
            self.save()
        return self.step >= config.steps

    def play(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One step's terms: the discriminator's updates, each on new batches, then the generator's on the last."""
        torch.manual_seed(mix(self.config.seed, 3, self.step, self.accelerator.process_index))
        terms: dict[str, float] = {}
        for number in range(self.config.discriminator_updates):
            parts = [next(batches).to(self.accelerator.device) for _ in range(self.config.accumulate)]
            terms |= self._update("discriminator", parts, number)
            self.objective.constrain(self.discriminator)
        for part in self.objective.parts or ("",):
            terms |= self._update("generator", parts, 0, only=part)
        self.average.update_parameters(self.generator)
        return terms

    def _update(self, player: Player, parts: Sequence[Batch], number: int, only: str = "") -> dict[str, float]:
        """One player's update on a batch in parts; its terms by name, averaged over parts and processes.

        A player without terms rests. `only` names the part of the player that moves while the rest of it stands.
        """
        moving, optimizer = getattr(self, player), self.optimizers[player]
        moving = getattr(moving, only) if only else moving
        terms_of = getattr(self.objective, f"{only or player}_terms")
        for other in PLAYERS:
            getattr(self, other).requires_grad_(False)
        moving.requires_grad_(True)
        optimizer.zero_grad()
        total: dict[str, Tensor] = {}
        for part, batch in enumerate(parts):
            # Spectral norm is computed once for all uses of a weight, the recomputation of checkpoints included.
            with parametrize.cached():
                with self.accelerator.autocast():
                    terms = terms_of(self.generator, self.discriminator, batch, self._turn(player, number, part))
                if not terms:
                    return {}
                loss = torch.stack([term.float() for term in terms.values()]).sum() / len(parts)
                loss.backward()
            for name, term in terms.items():
                name = f"{only or player}/{name}"
                total[name] = total.get(name, 0) + term.detach() / len(parts)
        means = self._mean(total)
        self._check(means)
        self._share_gradients(moving)
        if self.config.clip_gradients:
            nn.utils.clip_grad_norm_(moving.parameters(), self.config.clip_gradients)
        for group in optimizer.param_groups:
            group["lr"] = getattr(self.config, f"{player}_lr") * self.config.lr_share(self.step)
        optimizer.step()
        return means

    def _turn(self, player: Player, number: int, part: int) -> Turn:
        first = (part * self.accelerator.num_processes + self.accelerator.process_index) * self.micro_batch
        seed = mix(self.config.seed, 4, self.step, PLAYERS.index(player), number)
        draws = Draws(seed, first=first, total=self.config.batch, device=self.accelerator.device)
        return Turn(self.step, self.step / self.config.steps, draws, self._over_processes)

    def _over_processes(self, number: Tensor) -> Tensor:
        return self.accelerator.reduce(number, reduction="mean")

    def _check(self, terms: Mapping[str, float]) -> None:
        for name, value in terms.items():
            if not math.isfinite(value):
                raise ValueError(f"step {self.step}: {name} is {value}; the last checkpoint is untouched")

    def _share_gradients(self, network: nn.Module) -> None:
        """Averages the gradients over the processes in one exchange.

        Plain and enough for a game: unlike DistributedDataParallel it does not mind several passes, second derivatives,
        recomputation or parameters that one turn leaves out.
        """
        if self.accelerator.num_processes == 1:
            return
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in network.parameters()]
        flat = self.accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), reduction="mean")
        sizes = [gradient.numel() for gradient in gradients]
        for parameter, gradient in zip(network.parameters(), flat.split(sizes), strict=True):
            parameter.grad = gradient.view_as(parameter)

    def _mean(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """The terms averaged over the processes."""
        values = torch.stack([term.float() for term in terms.values()])
        values = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(terms, values.tolist(), strict=True))

    def _any(self, flag: bool) -> bool:
        """Whether any process says so: all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.accelerator.reduce(torch.tensor(float(flag), device=self.accelerator.device)).item())

    def _loader(self) -> DataLoader:
        parts = self.config.discriminator_updates * self.config.accumulate
        order = EndlessBatches(
            len(self.dataset),
            batch=self.micro_batch,
            seed=self.config.seed,
            first=self.step * parts,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        return DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_sampler=order,
            collate_fn=self.collate,
            num_workers=self.workers,
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=leave_signals_to_parent,
        )

    # --------------------------------------------------------------------------------- what a run leaves behind

    @contextmanager
    def _trackers(self) -> Iterator[Trackers]:
        main = self.accelerator.is_main_process
        tensorboard = [TensorBoard(self.run)] if self.config.tensorboard and main else []
        trackers = Trackers([JsonLines(self.run / "stats.jsonl"), *tensorboard] if main else [])
        trackers.truncate_after(self.step)
        try:
            yield trackers
        finally:
            trackers.close()

    def _show(self) -> Mapping[str, float]:
        """What the preview of the averaged generator measures; nothing in processes other than the main one."""
        metrics: Mapping[str, float] = {}
        if self.preview is not None and self.accelerator.is_main_process:
            with torch.no_grad():
                metrics = self.preview(self.averaged, self.step, self.run / "samples")
        self.accelerator.wait_for_everyone()
        return metrics

    def save(self) -> None:
        """Writes a checkpoint to resume from, and the averaged generator to use."""
        if self.accelerator.is_main_process:
            # In this order a kill in between is made good: the run resumes from before and writes both again.
            self.averaged.save_pretrained(self.run / "generator")
            checkpoint.save(self.run, self.step, self._state(), keep=self.config.keep)
        self.accelerator.wait_for_everyone()

    def resume(self) -> bool:
        """Whether there was a whole checkpoint to go on from. Raises ValueError if it is of another architecture."""
        path = checkpoint.latest(self.run)
        if path is None:
            return False
        self.step, state = checkpoint.load(path)
        modules = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        for name, module in modules.items():
            checkpoint.load_into(module, state[name], f"the {name} of {path}")
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        return True

    def _state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }


def conduct(trainer: Trainer, settings: Any) -> str:
    """Trains or goes on training, the settings beside it as config.json; says in a line how far it came.

    Raises ValueError as `Trainer.train` does.
    """
    trainer.resume()  # what does not fit is refused before anything of the earlier run is overwritten
    if trainer.accelerator.is_main_process:
        save(settings, trainer.run / "config.json")
    finished = trainer.train()
    return f"{'trained' if finished else 'stopped'} at step {trainer.step} of {trainer.config.steps}: {trainer.run}"


def _short(terms: Mapping[str, float]) -> dict[str, str]:
    return {f"{name[0]}:{name.partition('/')[2]}": f"{value:.3g}" for name, value in terms.items()}
