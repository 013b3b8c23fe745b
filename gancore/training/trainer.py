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
from gancore.data import EndlessBatches, SampleRandom, derive_seed
from gancore.hub import HubModel
from gancore.parsing import save_config
from gancore.training.alarms import find_non_finite
from gancore.training.diagnostics import Diagnosable, diagnose_players, sample_batches
from gancore.training.protocols import Batch, Evaluator, Objective, PreviewCallback, StepContext
from gancore.training.run_log import BestTracker, RunLog
from gancore.training.signals import catch_stop_signals, ignore_stop_signals

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
        preview: PreviewCallback | None = None,
        evaluator: Evaluator | None = None,
        accelerator: Accelerator,
    ):
        """Items of `held_out` show how healthy the game is. Raises ValueError if the batch cannot be shared evenly."""
        self.run, self.config, self.objective, self.accelerator = run, config, objective, accelerator
        self.dataset, self.collate, self.workers, self.held_out = dataset, collate, workers, held_out
        self.preview, self.evaluator = preview, evaluator
        parts = accelerator.num_processes * config.gradient_accumulation_steps
        if config.batch % parts:
            raise ValueError(
                f"train.batch ({config.batch}) must be a multiple of processes x train.gradient_accumulation_steps ({parts})"
            )
        self.micro_batch = config.batch // parts
        self.generator: HubModel = self._place(generator)
        self.discriminator = self._place(discriminator)
        self.ema = AveragedModel(self.generator, avg_fn=self._ema_update, use_buffers=False)
        self.ema_generator = cast(HubModel, self.ema.module.eval())
        betas = (config.beta1, config.beta2)
        self.optimizers = {
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), config.discriminator_lr, betas),
            "generator": torch.optim.Adam(self.generator.parameters(), config.generator_lr, betas),
        }
        self.step = 0

    def _place(self, module: Any) -> Any:
        module = module.to(self.accelerator.device).train()
        for tensor in (*module.parameters(), *module.buffers()):
            self._broadcast(tensor.data)
        if self.config.channels_last:
            formats = {4: torch.channels_last, 5: torch.channels_last_3d}
            for parameter in module.parameters():
                if parameter.ndim in formats:
                    parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])
        if self.config.compile:
            module.compile()
        return module

    def _broadcast(self, tensor: Tensor) -> None:
        if self.accelerator.num_processes > 1:
            torch.distributed.broadcast(tensor, 0)

    def _ema_update(self, average: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
        if self.step < self.config.ema_start:
            return now
        decay = min(self.config.ema_decay, (1 + float(count)) / (10 + float(count)))
        return torch.lerp(now, average, decay)

    # ---------------------------------------------------------------------------------------------- the loop

    def train(self) -> bool:
        """Trains to the last step, from the newest checkpoint if there is one; False if it was stopped before.

        Raises ValueError if the checkpoint is of another architecture or a loss is no longer finite.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        self.resume()
        config, first, begun = self.config, self.step, time.monotonic()
        batches = iter(self._create_loader())
        bar = tqdm(total=config.steps, initial=first, unit="step", dynamic_ncols=True, mininterval=1.0)
        seen: defaultdict[str, list[float]] = defaultdict(list)
        with catch_stop_signals() as stop, bar, self._open_run_log() as record:
            while not self._is_finished():
                for name, value in self.play_step(batches).items():
                    seen[name].append(value)
                self.step += 1
                numbers = self._observe_step(record)
                if self._is_due(config.log_every):
                    shown = {name: fmean(values) for name, values in seen.items()}
                    seen.clear()
                    speed = config.batch * (self.step - first) / (time.monotonic() - begun)
                    bar.set_postfix({"samples/s": f"{speed:.1f}"} | _format_terms(shown))
                    numbers |= shown | {"lr_factor": config.lr_factor(self.step - 1), "speed": speed}
                bar.update()
                if record and numbers:
                    record.log(self.step, numbers)
                late = config.max_minutes and time.monotonic() - begun > 60 * config.max_minutes
                if self._any(bool(stop or late)):
                    break
                if self._is_due(config.checkpoint_every) and not self._is_finished():
                    self.save(record)
            if self.step > first:
                self.save(record, last=True)
        return self._is_finished()

    def play_step(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One step's terms: the discriminator's updates, each on new batches, then the generator's on the last."""
        torch.manual_seed(derive_seed(self.config.seed, 3, self.step, self.accelerator.process_index))
        terms: dict[str, float] = {}
        for number in range(self.config.discriminator_steps):
            parts = [next(batches).to(self.accelerator.device) for _ in range(self.config.gradient_accumulation_steps)]
            terms |= self._update("discriminator", parts, number)
            self.objective.constrain_discriminator(self.discriminator)
        for part in self.objective.generator_parts or ("",):
            terms |= self._update("generator", parts, 0, only=part)
        self.ema.update_parameters(self.generator)
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
                    terms = terms_of(
                        self.generator, self.discriminator, batch, self._step_context(player, number, part)
                    )
                if not terms:
                    return {}
                loss = torch.stack([term.float() for term in terms.values()]).sum() / len(parts)
                loss.backward()
            for name, term in terms.items():
                name = f"{only or player}/{name}"
                total[name] = total.get(name, 0) + term.detach() / len(parts)
        self._average_gradients(moving)
        norm = self._clip_gradients(moving)
        means = self._mean_terms(total | {f"gradient/{only or player}": norm})
        self._check_finite(means, moving)
        for group in optimizer.param_groups:
            group["lr"] = getattr(self.config, f"{player}_lr") * self.config.lr_factor(self.step)
        optimizer.step()
        return means

    def _step_context(self, player: Player, number: int, part: int) -> StepContext:
        first = (part * self.accelerator.num_processes + self.accelerator.process_index) * self.micro_batch
        seed = derive_seed(self.config.seed, 4, self.step, PLAYERS.index(player), number)
        draws = SampleRandom(seed, first_sample=first, total_samples=self.config.batch, device=self.accelerator.device)
        return StepContext(self.step, self.step / self.config.steps, draws, self._mean_over_processes)

    def _mean_over_processes(self, number: Tensor) -> Tensor:
        return self.accelerator.reduce(number, reduction="mean")

    def _check_finite(self, means: Mapping[str, float], moving: nn.Module) -> None:
        for name, value in means.items():
            if not math.isfinite(value):
                where = f" in {find_non_finite(moving, gradients=True)}" if name.startswith("gradient/") else ""
                raise ValueError(f"step {self.step}: {name} is {value}{where}; the last checkpoint is untouched")

    def _clip_gradients(self, network: nn.Module) -> Tensor:
        """The norm of the network's gradient, which is scaled down to its limit if there is one."""
        norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
        if self.config.max_grad_norm:
            nn.utils.clip_grads_with_norm_(network.parameters(), self.config.max_grad_norm, norm)
        return norm

    def _average_gradients(self, network: nn.Module) -> None:
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

    def _mean_terms(self, terms: Mapping[str, Tensor]) -> dict[str, float]:
        """The terms averaged over the processes."""
        values = torch.stack([term.float() for term in terms.values()])
        values = self.accelerator.reduce(values, reduction="mean")
        return dict(zip(terms, values.tolist(), strict=True))

    def _any(self, flag: bool) -> bool:
        """Whether any process says so: all stop at the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.accelerator.reduce(torch.tensor(float(flag), device=self.accelerator.device)).item())

    def _create_loader(self) -> DataLoader:
        parts = self.config.discriminator_steps * self.config.gradient_accumulation_steps
        order = EndlessBatches(
            len(self.dataset),
            batch_size=self.micro_batch,
            seed=self.config.seed,
            first_batch=self.step * parts,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
        )
        return DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_sampler=order,
            collate_fn=self.collate,
            num_workers=self.workers,
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=ignore_stop_signals,
        )

    # --------------------------------------------------------------------------------- what a run leaves behind

    @contextmanager
    def _open_run_log(self) -> Iterator[RunLog | None]:
        """What the run says of itself goes there; None in processes other than the main one."""
        if not self.accelerator.is_main_process:
            yield None
            return
        best = BestTracker(self.config.best_metric or self.evaluator.best_metric) if self.evaluator else None
        record = RunLog(self.run, step=self.step, best_tracker=best, tensorboard=self.config.tensorboard)
        try:
            yield record
        finally:
            record.close()

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _is_finished(self) -> bool:
        return self.step >= self.config.steps

    def _observe_step(self, record: RunLog | None) -> dict[str, float]:
        """What is measured at this step by the main process; the others wait for it."""
        observe, show = self._is_due(self.config.health_every), self._is_due(self.config.preview_every)
        evaluate = self._is_due(self.config.evaluate_every) or bool(self.config.evaluate_every and self._is_finished())
        if not (observe or show or evaluate):
            return {}
        numbers: dict[str, float] = {}
        if record:
            with torch.no_grad():
                numbers |= self._diagnose() if observe else {}
                numbers |= self._evaluate(record) if evaluate else {}
                if show and self.preview is not None:
                    self.preview(self.ema_generator, self.step, self.run / "samples")
        self.accelerator.wait_for_everyone()
        return numbers

    def _diagnose(self) -> dict[str, float]:
        """What a few items show of both players, once the discriminator has begun to play."""
        if not isinstance(self.objective, Diagnosable) or not self.optimizers["discriminator"].state:
            return {}
        some = partial(sample_batches, collate=self.collate, device=self.accelerator.device)
        with self.accelerator.autocast():
            return diagnose_players(
                self.objective,
                self.generator,
                self.discriminator,
                training_batches=some(self.dataset, derive_seed(self.config.seed, 5, self.step)),
                held_out_batches=None
                if self.held_out is None
                else some(self.held_out, derive_seed(self.config.seed, 6, self.step)),
                rng=SampleRandom(derive_seed(self.config.seed, 7, self.step), device=self.accelerator.device),
            )

    def _evaluate(self, record: RunLog) -> Mapping[str, float]:
        """The scores of the averaged generator, which is kept if they are the best so far."""
        if self.evaluator is None or record.best_tracker is None:
            return {}
        scores = self.evaluator(self.ema_generator)
        if record.best_tracker.update_if_better(scores):
            self.ema_generator.save_pretrained(self.run / "best")
        return scores

    def save(self, record: RunLog | None = None, *, last: bool = False) -> None:
        """Writes a checkpoint to resume from, and the averaged generator to use; and the curves of a record.

        Raises ValueError, and writes nothing, if a number in it is not finite.
        """
        self._check_state()
        if self.accelerator.is_main_process:
            # In this order a kill in between is made good: the run resumes from before and writes both again.
            self.ema_generator.save_pretrained(self.run / "generator")
            checkpoint.save(self.run, self.step, self._state(), keep_checkpoints=self.config.keep_checkpoints)
        if record and self.config.curves:
            record.draw_curves(last=last)
        self.accelerator.wait_for_everyone()

    def _check_state(self) -> None:
        for name, network in {"generator": self.generator, "discriminator": self.discriminator}.items():
            if where := find_non_finite(network):
                raise ValueError(
                    f"step {self.step}: {where} of the {name} is not finite; the last checkpoint is untouched"
                )

    def resume(self) -> bool:
        """Whether there was a whole checkpoint to go on from. Raises ValueError if it is of another architecture."""
        path = checkpoint.find_latest(self.run)
        if path is None:
            return False
        self.step, state = checkpoint.load(path)
        modules = {"generator": self.generator, "discriminator": self.discriminator, "average": self.ema}
        for name, module in modules.items():
            checkpoint.load_into(module, state[name], f"the {name} of {path}")
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        return True

    def _state(self) -> dict[str, Any]:
        return {
            "generator": self.generator.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "average": self.ema.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }


def train_run(trainer: Trainer, settings: Any) -> str:
    """Trains or goes on training, the settings beside it as config.json; says in a line how far it came.

    Raises ValueError as `Trainer.train` does.
    """
    trainer.resume()  # what does not fit is refused before anything of the earlier run is overwritten
    if trainer.accelerator.is_main_process:
        save_config(settings, trainer.run / "config.json")
    finished = trainer.train()
    return f"{'trained' if finished else 'stopped'} at step {trainer.step} of {trainer.config.steps}: {trainer.run}"


def _format_terms(terms: Mapping[str, float]) -> dict[str, str]:
    """The terms for the progress bar."""
    named = {name: name.partition("/") for name in terms}
    return {f"{a[0]}:{b}": f"{terms[name]:.3g}" for name, (a, _, b) in named.items() if a != "gradient"}
