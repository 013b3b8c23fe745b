"""The training loop of a two-player game: update, average, log, show, checkpoint, resume. It knows no domain."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, cast, get_args

import torch
from accelerate import Accelerator
from accelerate.utils import tqdm
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from gancore import checkpoint
from gancore.config import TrainConfig
from gancore.data import Draws, EndlessBatches, mix
from gancore.hub import HubModel
from gancore.parsing import save
from gancore.training.alarms import not_finite
from gancore.training.diagnostics import Observable, some_items, vital_signs
from gancore.training.protocols import Batch, Evaluation, Objective, Preview, Turn
from gancore.training.run_log import Best, Record
from gancore.training.signals import leave_signals_to_parent, stop_signals

Player = Literal["discriminator", "generator"]
PLAYERS: tuple[Player, ...] = get_args(Player)


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
        held_out: Sized | None = None,
        preview: Preview | None = None,
        evaluation: Evaluation | None = None,
        accelerator: Accelerator,
    ):
        """Items of `held_out` show how healthy the game is. Raises ValueError if the batch cannot be shared evenly."""
        self.run, self.config, self.objective, self.accelerator = run, config, objective, accelerator
        self.dataset, self.collate, self.workers, self.held_out = dataset, collate, workers, held_out
        self.preview, self.evaluation = preview, evaluation
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
        with stop_signals() as stop, bar, self._record() as record:
            while not self._over():
                for name, value in self.play(batches).items():
                    seen[name].append(value)
                self.step += 1
                numbers = self._look(record)
                if self._due(config.log_every):
                    shown = {name: fmean(values) for name, values in seen.items()}
                    seen.clear()
                    speed = config.batch * (self.step - first) / (time.monotonic() - begun)
                    bar.set_postfix({"samples/s": f"{speed:.1f}"} | _short(shown))
                    numbers |= shown | {"lr_share": config.lr_share(self.step - 1), "speed": speed}
                bar.update()
                if record and numbers:
                    record.log(self.step, numbers)
                late = config.minutes and time.monotonic() - begun > 60 * config.minutes
                if self._any(bool(stop or late)):
                    break
                if self._due(config.checkpoint_every) and not self._over():
                    self.save(record)
            if self.step > first:
                self.save(record, last=True)
        return self._over()

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
        self._share_gradients(moving)
        norm = self._limit_gradients(moving)
        means = self._mean(total | {f"gradient/{only or player}": norm})
        self._check(means, moving)
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

    def _check(self, means: Mapping[str, float], moving: nn.Module) -> None:
        for name, value in means.items():
            if not math.isfinite(value):
                where = f" in {not_finite(moving, gradients=True)}" if name.startswith("gradient/") else ""
                raise ValueError(f"step {self.step}: {name} is {value}{where}; the last checkpoint is untouched")

    def _limit_gradients(self, network: nn.Module) -> Tensor:
        """The norm of the network's gradient, which is scaled down to its limit if there is one."""
        norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        if self.config.clip_gradients:
            nn.utils.clip_grads_with_norm_(network.parameters(), self.config.clip_gradients, norm)
        return norm

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
    def _record(self) -> Iterator[Record | None]:
        """What the run says of itself goes there; None in processes other than the main one."""
        if not self.accelerator.is_main_process:
            yield None
            return
        best = Best(self.config.best or self.evaluation.best) if self.evaluation else None
        record = Record(self.run, step=self.step, best=best, tensorboard=self.config.tensorboard)
        try:
            yield record
        finally:
            record.close()

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _over(self) -> bool:
        return self.step >= self.config.steps

    def _look(self, record: Record | None) -> dict[str, float]:
        """What is measured at this step by the main process; the others wait for it."""
        observe, show = self._due(self.config.health_every), self._due(self.config.preview_every)
        evaluate = self._due(self.config.evaluate_every) or bool(self.config.evaluate_every and self._over())
        if not (observe or show or evaluate):
            return {}
        numbers: dict[str, float] = {}
        if record:
            with torch.no_grad():
                numbers |= self._vital_signs() if observe else {}
                numbers |= self._evaluated(record) if evaluate else {}
                if show and self.preview is not None:
                    self.preview(self.averaged, self.step, self.run / "samples")
        self.accelerator.wait_for_everyone()
        return numbers

    def _vital_signs(self) -> dict[str, float]:
        """What a few items show of both players, once the discriminator has begun to play."""
        if not isinstance(self.objective, Observable) or not self.optimizers["discriminator"].state:
            return {}
        some = partial(some_items, collate=self.collate, device=self.accelerator.device)
        with self.accelerator.autocast():
            return vital_signs(
                self.objective,
                self.generator,
                self.discriminator,
                seen=some(self.dataset, mix(self.config.seed, 5, self.step)),
                unseen=None if self.held_out is None else some(self.held_out, mix(self.config.seed, 6, self.step)),
                draws=Draws(mix(self.config.seed, 7, self.step), device=self.accelerator.device),
            )

    def _evaluated(self, record: Record) -> Mapping[str, float]:
        """The scores of the averaged generator, which is kept if they are the best so far."""
        if self.evaluation is None or record.best is None:
            return {}
        scores = self.evaluation(self.averaged)
        if record.best.improved(scores):
            self.averaged.save_pretrained(self.run / "best")
        return scores

    def save(self, record: Record | None = None, *, last: bool = False) -> None:
        """Writes a checkpoint to resume from, and the averaged generator to use; and the curves of a record.

        Raises ValueError, and writes nothing, if a number in it is not finite.
        """
        self._check_state()
        if self.accelerator.is_main_process:
            # In this order a kill in between is made good: the run resumes from before and writes both again.
            self.averaged.save_pretrained(self.run / "generator")
            checkpoint.save(self.run, self.step, self._state(), keep=self.config.keep)
        if record and self.config.curves:
            record.draw(last=last)
        self.accelerator.wait_for_everyone()

    def _check_state(self) -> None:
        for name, network in {"generator": self.generator, "discriminator": self.discriminator}.items():
            if where := not_finite(network):
                raise ValueError(
                    f"step {self.step}: {where} of the {name} is not finite; the last checkpoint is untouched"
                )

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
    """The terms for the progress bar."""
    named = {name: name.partition("/") for name in terms}
    return {f"{a[0]}:{b}": f"{terms[name]:.3g}" for name, (a, _, b) in named.items() if a != "gradient"}
