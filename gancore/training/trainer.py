"""The training loop of a GAN on any data: updates, EMA, log, previews, evaluation, checkpoints and resuming."""

import time
from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from accelerate.utils import tqdm
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.data import DataLoader

from gancore import checkpoint
from gancore.config import TrainConfig
from gancore.data import EndlessBatches, describe_items
from gancore.hub import HubModel
from gancore.rng import SampleRandom, derive_seed
from gancore.training.alarms import find_non_finite
from gancore.training.averaging import MovingAverage
from gancore.training.diagnostics import Diagnosable, diagnose_players, read_measurements, sample_batches
from gancore.training.loading import PreparedStep, init_worker, open_batches, prepare_step, raise_failure
from gancore.training.players import Player, create_player, place_network
from gancore.training.processes import (
    average_gradients,
    average_terms,
    in_every_process,
    main_process_number,
    wait_for_all,
)
from gancore.training.protocols import Batch, Evaluator, Objective, PreviewCallback, StepContext, Update
from gancore.training.resuming import has_model, load_newest
from gancore.training.run_log import BestTracker, RunLog
from gancore.training.signals import catch_stop_signals
from gancore.training.summary import TimeEstimate, format_terms
from gancore.training.terms import RecentTerms, UpdateTerms, measure_gradients


class Trainer:
    """Trains a generator and a discriminator.

    Data order, random numbers and schedules are functions of the step, so a resumed run repeats them exactly.
    """

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
        """Prepares a training run; `train` runs it.

        Args:
            run: The run folder.
            config: Lengths, learning rates, batch and schedules.
            generator: The network to train; its moving average is what is saved as the model.
            discriminator: The network that scores real and generated samples.
            objective: The losses of both players.
            dataset: The training items, indexed by `gancore.data.Sample`.
            collate: Makes a batch of a list of items.
            workers: Number of processes that load data; 0 loads in this one.
            held_out: Items for the diagnostics, which tell memorisation from learning.
            preview: Draws samples of the moving average every `config.preview_every` steps.
            evaluator: Scores the moving average every `config.evaluate_every` steps.
            accelerator: The device and the processes.

        Raises:
            ValueError: `config.batch` is not a multiple of the number of processes times accumulation steps.
        """
        self.run, self.config, self.objective, self.accelerator = run, config, objective, accelerator
        self.dataset, self.collate, self.workers, self.held_out = dataset, collate, workers, held_out
        self.preview, self.evaluator = preview, evaluator
        parts = accelerator.num_processes * config.gradient_accumulation_steps
        if config.batch % parts:
            raise ValueError(
                f"train.batch ({config.batch}) must be a multiple of "
                f"processes x train.gradient_accumulation_steps ({parts})"
            )
        self.micro_batch = config.batch // parts
        self.batches_per_step = config.discriminator_steps * config.gradient_accumulation_steps
        self.generator: HubModel = place_network(generator, config, accelerator)
        self.discriminator = place_network(discriminator, config, accelerator)
        self.objective.state.to(accelerator.device)
        self.ema = MovingAverage(self.generator)
        self.ema_generator = cast(HubModel, self.ema.module.eval())
        self.discriminator_player = create_player(0, self.discriminator, config.discriminator_lr, config)
        self.generator_player = create_player(1, self.generator, config.generator_lr, config)
        self.step = 0
        self.progress = 0.0
        self.recent_terms = RecentTerms()
        self.started, self.earlier_seconds = time.monotonic(), 0.0
        self.settings: dict[str, Any] = {}
        """Saved with every checkpoint."""
        self.resumed_run: dict[str, Any] | None = None
        """The "settings" and the data "items" in the checkpoint from which the run resumed."""

    # ---------------------------------------------------------------------------------------------------- the loop

    def train(self, announce: Callable[[str], None] | None = None) -> bool:
        """Trains to the end, from the newest checkpoint if there is one; returns False if interrupted before the end.

        `announce` is called in the main process with lines for the user, such as the expected time.

        Raises:
            ValueError: The checkpoint belongs to another architecture, a loss is not finite, or data cannot be read;
                in the last case the state is saved first.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        if self.resumed_run is None:
            self.resume()
        self.started = time.monotonic()
        config, first_step = self.config, self.step
        estimate = TimeEstimate(config, first_step=first_step, elapsed_seconds=self.elapsed_seconds())
        bar = tqdm(total=config.steps, initial=first_step, unit="step", dynamic_ncols=True, mininterval=1.0)
        loading = open_batches(self._create_loader())
        with loading as batches, catch_stop_signals() as stop, bar, self._open_run_log() as log:
            if log and announce and first_step and not self.is_finished:
                announce(f"resuming at step {first_step:,} of {config.steps:,}")
            ready = self._prepare_step(batches, bool(stop))
            while not (self.is_finished or ready.stop):
                lr_factor = config.lr_factor(self.step, self.progress)
                try:
                    self.train_step(iter(ready.batches))
                except Exception:
                    self.recent_terms.check()  # a loss that was not finite some steps ago may be the cause
                    raise
                self.step += 1
                self.progress = self._measure_progress()
                numbers = self._observe(log)
                if self._is_due(config.log_every):
                    means = self.recent_terms.take_means()
                    speed = config.batch * (self.step - first_step) / (time.monotonic() - self.started)
                    bar.set_postfix({"samples/s": f"{speed:.1f}"} | format_terms(means))
                    numbers |= means | read_measurements(self.objective) | {"lr_factor": lr_factor, "speed": speed}
                bar.update()
                if log and numbers:
                    log.log(self.step, numbers)
                    if self._is_due(config.preview_every):
                        log.write_page()
                if log and announce and (line := estimate.observe(self.step)):
                    announce(line)

                ready = self._prepare_step(batches, bool(stop))
                if self._is_due(config.checkpoint_every) and not (self.is_finished or ready.stop):
                    self.save(log)
            if self.step > first_step:
                self.save(log, last=True)
            raise_failure(ready, self.accelerator)
        return self.is_finished

    def _prepare_step(self, batches: Iterator[Batch], stop: bool) -> PreparedStep:
        count = 0 if self.is_finished else self.batches_per_step
        return prepare_step(batches, count, stop=stop, accelerator=self.accelerator)

    @property
    def is_finished(self) -> bool:
        """Whether the last step or the time limit is reached."""
        return self.progress >= 1

    def _measure_progress(self) -> float:
        """Fraction of the training that is done, by steps or by the time limit, whichever is further along."""
        done = self.step / self.config.steps
        if self.config.max_minutes is None:
            return done
        elapsed = self.elapsed_seconds() / (60 * self.config.max_minutes)
        # clocks differ, but all processes need the same schedules and the same last step
        return max(done, min(main_process_number(elapsed, self.accelerator), 1.0))

    def elapsed_seconds(self) -> float:
        """Training time so far, including that of sessions before the run was resumed."""
        return self.earlier_seconds + time.monotonic() - self.started

    def train_step(self, batches: Iterator[Batch]) -> None:
        """One step: the discriminator's updates, each on a new batch, then the generator's on the last of these.

        The loss terms go to `recent_terms`. Nothing here waits for the device.
        """
        torch.manual_seed(derive_seed(self.config.seed, 3, self.step, self.accelerator.process_index))
        for number in range(self.config.discriminator_steps):
            micro_batches = [
                next(batches).to(self.accelerator.device) for _ in range(self.config.gradient_accumulation_steps)
            ]
            update = self.objective.discriminator_update(self.generator, self.discriminator)
            self.apply_update(update, self.discriminator_player, micro_batches, number=number)
            self.objective.constrain_discriminator(self.discriminator)
        for update in self.objective.generator_updates(self.generator, self.discriminator):
            self.apply_update(update, self.generator_player, micro_batches)
        started = self.step >= self.config.ema_start
        self.ema.update(self.generator, decay=self.config.ema_decay if started else 0.0)

    def apply_update(self, update: Update, player: Player, micro_batches: Sequence[Batch], *, number: int = 0) -> None:
        """One optimizer step; its terms, averaged over micro-batches and processes, go to `recent_terms`.

        `number` counts the discriminator's updates within a step; it is part of their seeds.
        """
        for network in (self.generator, self.discriminator):
            network.requires_grad_(False)
        update.module.requires_grad_(True)
        player.optimizer.zero_grad()

        total: dict[str, Tensor] = {}
        for part, batch in enumerate(micro_batches):
            # Caching computes spectral norm once for all uses of a weight, including gradient checkpointing.
            with parametrize.cached():
                with self.accelerator.autocast():
                    terms = update.terms(batch, self._step_context(player, number, part))
                if not terms:
                    return
                loss = torch.stack([term.float() for term in terms.values()]).sum() / len(micro_batches)
                loss.backward()
            for name, term in terms.items():
                name = f"{update.name}/{name}"
                total[name] = total.get(name, 0) + term.detach() / len(micro_batches)

        average_gradients(update.module, self.accelerator)
        weights, norms = measure_gradients(update.module)
        norm = torch.linalg.vector_norm(norms)
        if self.config.max_grad_norm is not None:
            nn.utils.clip_grads_with_norm_(update.module.parameters(), self.config.max_grad_norm, norm)

        total |= {f"gradient/{update.name}": norm}
        means = average_terms(total.values(), self.accelerator)
        self.recent_terms.add(UpdateTerms(self.step, tuple(total), means, weights, norms))

        for group in player.optimizer.param_groups:
            group["lr"] = player.lr * self.config.lr_factor(self.step, self.progress)
        player.optimizer.step()

    def _step_context(self, player: Player, number: int, part: int) -> StepContext:
        first = (part * self.accelerator.num_processes + self.accelerator.process_index) * self.micro_batch
        seed = derive_seed(self.config.seed, 4, self.step, player.number, number)
        rng = SampleRandom(seed, first_sample=first, total_samples=self.config.batch, device=self.accelerator.device)
        mean_over_processes = partial(self.accelerator.reduce, reduction="mean")
        return StepContext(self.step, self.progress, rng, mean_over_processes, self.accelerator.num_processes)

    def _create_loader(self) -> DataLoader:
        order = EndlessBatches(
            len(self.dataset),
            batch_size=self.micro_batch,
            seed=self.config.seed,
            first_batch=self.step * self.batches_per_step,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
        )
        return DataLoader(
            self.dataset,  # type: ignore[arg-type]
            batch_sampler=order,
            collate_fn=self.collate,
            num_workers=self.workers,
            pin_memory=self.accelerator.device.type == "cuda",
            worker_init_fn=init_worker,
        )

    # ------------------------------------------------------------------------------------ what a run writes and reads

    @contextmanager
    def _open_run_log(self) -> Iterator[RunLog | None]:
        """The log of the run; None in processes other than the main one."""
        if not self.accelerator.is_main_process:
            yield None
            return
        best = BestTracker(self.config.best_metric or self.evaluator.best_metric) if self.evaluator else None
        log = RunLog(self.run, self.config, step=self.step, best_tracker=best)
        try:
            yield log
        finally:
            log.close()

    def _is_due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _observe(self, log: RunLog | None) -> dict[str, float]:
        """Runs the diagnostics, evaluation and preview that are due, in the main process while the others wait."""
        config = self.config
        diagnose, preview = self._is_due(config.health_every), self._is_due(config.preview_every)
        evaluate = self._is_due(config.evaluate_every) or bool(config.evaluate_every and self.is_finished)
        if not (diagnose or preview or evaluate):
            return {}
        numbers: dict[str, float] = {}
        self.recent_terms.check()
        if log:
            with torch.no_grad():
                if diagnose and isinstance(self.objective, Diagnosable) and self.discriminator_player.optimizer.state:
                    numbers |= self._diagnose(self.objective)
                if evaluate and self.evaluator is not None and log.best_tracker is not None:
                    scores = self.evaluator(self.ema_generator)
                    if log.best_tracker.update_if_better(scores):
                        self.ema_generator.save_pretrained(self.run / "best")
                    numbers |= scores
                if preview and self.preview is not None:
                    self.preview(self.ema_generator, self.step, self.run / "samples")
        wait_for_all(self.accelerator)
        return numbers

    def _diagnose(self, objective: Diagnosable) -> dict[str, float]:
        """Diagnostics of both players on a few training and held-out items."""
        seeds = [derive_seed(self.config.seed, purpose, self.step) for purpose in (5, 6, 7)]
        some_batches = partial(sample_batches, collate=self.collate, device=self.accelerator.device)
        with self.accelerator.autocast():
            return diagnose_players(
                objective,
                self.generator,
                self.discriminator,
                training_batches=some_batches(self.dataset, seeds[0]),
                held_out_batches=None if self.held_out is None else some_batches(self.held_out, seeds[1]),
                rng=SampleRandom(seeds[2], device=self.accelerator.device),
            )

    def save(self, log: RunLog | None = None, *, last: bool = False) -> None:
        """Writes a checkpoint, the EMA generator, and the curves of the log.

        Raises ValueError, and writes nothing, if a term or a weight is not finite.
        """
        self.recent_terms.check()
        for name, network in {"generator": self.generator, "discriminator": self.discriminator}.items():
            if where := find_non_finite(network):
                raise ValueError(
                    f"step {self.step}: {where} of the {name} is not finite; the last checkpoint is untouched"
                )
        if self.accelerator.is_main_process:
            # The model is written before the checkpoint, so that a run killed in between resumes from the previous
            # checkpoint and writes both again. Only the very first model is written after its checkpoint, because a
            # model without any checkpoint means that a run has lost its checkpoints.
            if has_model(self.run):
                self.ema_generator.save_pretrained(self.run / "generator")
            checkpoint.save(self.run, self.step, self._state(), keep_checkpoints=self.config.keep_checkpoints)
            if not has_model(self.run):
                self.ema_generator.save_pretrained(self.run / "generator")
        if log:
            if self.config.curves:
                log.draw_curves(last=last)
            log.write_page()
        wait_for_all(self.accelerator)

    def start_from(self, model: str) -> None:
        """Loads the weights of a trained model into the generator and its EMA. Raises ValueError if it does not fit."""
        for network in (self.generator, self.ema_generator):
            in_every_process(self.accelerator, partial(network.start_from, model))

    def resume(self) -> bool:
        """Loads the newest intact checkpoint; False if there is none. Raises ValueError if it does not fit."""
        if (found := load_newest(self.run, self.accelerator)) is None:
            return False
        path, self.step, state = found
        for name, module in self._modules().items():
            checkpoint.load_into(module, state[name], f"the {name} of {path}")
        self.generator_player.optimizer.load_state_dict(state["optimizers"]["generator"])
        self.discriminator_player.optimizer.load_state_dict(state["optimizers"]["discriminator"])
        self.earlier_seconds, self.started = state["seconds"], time.monotonic()
        self.resumed_run = {name: state[name] for name in ("settings", "items")}
        self.progress = self._measure_progress()
        if self.accelerator.is_main_process:  # finish a save that was killed after it wrote the checkpoint
            checkpoint.delete_oldest(self.run, self.step, keep_checkpoints=self.config.keep_checkpoints)
            if not has_model(self.run):
                self.ema_generator.save_pretrained(self.run / "generator")
        return True

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema,
            "objective": self.objective.state,
        }

    def _state(self) -> dict[str, Any]:
        optimizers = {
            "generator": self.generator_player.optimizer.state_dict(),
            "discriminator": self.discriminator_player.optimizer.state_dict(),
        }
        modules = {name: module.state_dict() for name, module in self._modules().items()}
        about = {"seconds": self.elapsed_seconds(), "settings": self.settings, "items": describe_items(self.dataset)}
        return {**modules, "optimizers": optimizers, **about}
