"""The search: networks alone, on stills; then systems around the best of them, by successive halving."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from time import perf_counter
from typing import TYPE_CHECKING, Any

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.device import choose_device
from vss_ros.engine.model_card import read_card
from vss_ros.engine.network_files import in_short
from vss_ros.engine.option import written_size
from vss_ros.engine.options import SegmenterConfig, parameters
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.evaluation.benchmark.contenders import WHOLE, per_frame
from vss_ros.evaluation.replay.clock import describe_machine
from vss_ros.evaluation.rows import rounded
from vss_ros.evaluation.tune.drive import Recording, Trial, drive, score

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tqdm import tqdm

    from vss_ros.engine.build import Built
    from vss_ros.engine.model_card import ModelCard

AREAS = (1.0, 0.65, 1.34, 1.82)
"""Network inputs to try, in parts of the model's own; at the first one all runtimes are tried."""
STILLS = 10
"""Frames by which networks are compared before anything is played."""
AS_GOOD = 0.002
"""mIoU that a slower network has to gain."""
ROUNDS = (30, 60)
"""Frames that candidates are played in the first rounds; the last plays all."""
GO_ON, FINALISTS = 0.35, 3
"""Share of a round's candidates that go on, and least number."""
NEARLY = 1.15
"""Times the budget up to which a candidate goes on: few frames say little of the 99th percentile."""
ANSWERED = 0.99
"""Share of the images that has to be answered."""


@dataclass(frozen=True)
class Plan:
    """What to try."""

    budget_ms: float
    node_ms: dict[str, float]
    """What the node adds to p50, p99 and max of a frame."""
    base: SegmenterConfig
    """Device and threads of all candidates."""
    models: tuple[str, ...]
    runtimes: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    """Network inputs; empty: ``AREAS``."""
    systems: tuple[dict[str, Any], ...]
    """What is set beside the network."""
    networks: int
    """Most that go on to be played."""


class Tuner:
    """Finds the configuration.

    Args:
        recording: What is played; where it has no masks the best network's answers become its truth.
        bar: Is moved on; its total grows as candidates become known.
    """

    def __init__(self, plan: Plan, recording: Recording, bar: tqdm[Any]) -> None:
        self._plan, self._recording, self._bar = plan, recording, bar
        self._budget = (plan.budget_ms - plan.node_ms['p99']) * 1e-3
        self.networks: list[Trial] = []
        """Whole ones, on stills."""
        self.tried: dict[SegmenterConfig, Trial] = {}
        """Each as it was in the last round that it took part in."""
        self.left_out: dict[str, str] = {}
        """Why, by name."""
        self.reference = ''
        """Whose answers stand for the truth; empty where there are masks."""

    def run(self) -> None:
        """Try everything.

        Raises:
            VssError: Nothing can be built.
        """
        if all(mask is None for mask in self._recording.truth):
            self._ask_the_best()
        alive, length = self._candidates(), len(self._recording.frames)
        for frames in ROUNDS:
            if frames < length and len(alive) > FINALISTS:
                alive = self._further(self._play(alive, frames))
        self._play(alive, length)
        if not self.tried:
            raise VssError(f'nothing could be tried: {"; ".join(self.left_out.values())}')

    def latency_ms(self, trial: Trial) -> dict[str, float]:
        """Return p50, p99 and max with what the node adds."""
        return {name: round(trial.ms[name] + ms, 2) for name, ms in self._plan.node_ms.items()}

    def meets(self, trial: Trial, limit: float = 1.0) -> bool:
        """Tell whether a trial was within the budget, or so many times of it."""
        in_time = self.latency_ms(trial)['p99'] <= limit * self._plan.budget_ms
        return in_time and not trial.given_up and trial.answered >= ANSWERED * trial.sent

    def _order(self, trial: Trial) -> tuple[Any, ...]:
        """Sorts what meets the budget first, by frames and accuracy; the rest by frames and time."""
        meets = self.meets(trial)
        return not meets, -trial.sent, -trial.score if meets else trial.ms['p99']

    def _further(self, found: Sequence[Trial]) -> list[SegmenterConfig]:
        """Return the most accurate of those that may meet the budget, and the fastest of all."""
        number = max(round(GO_ON * len(found)), FINALISTS)
        may = [trial for trial in found if self.meets(trial, NEARLY)]
        best = sorted(may, key=lambda trial: -trial.score)[:number]
        fastest = sorted(found, key=lambda trial: trial.ms['p99'])[:1]
        return [trial.config for trial in (best if fastest[0] in best else [*best[: number - 1], *fastest])]

    def _play(self, configs: Sequence[SegmenterConfig], frames: int) -> list[Trial]:
        self._bar.total += len(configs)
        found = []
        for config in configs:
            built = self._built(config, f'{frames} frames')
            self._bar.update()
            if built is not None:
                found.append(Trial(config))
                drive(built, found[-1], self._recording, frames, self._budget)
                built.segmenter.close()
        self.tried |= {trial.config: trial for trial in found}
        return found

    def _built(self, config: SegmenterConfig, doing: str) -> Built | None:
        """Return a warmed up segmenter; of what cannot be built keep the reason."""
        self._bar.set_postfix_str(f'{doing}, {name_of(config)}'[:60])
        try:
            built = build_segmenter(config)
            built.segmenter.warm_up(self._recording.camera)
        except Exception as error:  # noqa: BLE001 (runtimes raise what they like; the others go on)
            self.left_out[name_of(config)] = str(error) if isinstance(error, VssError) else in_short(error)
            return None
        return built

    def _ask_the_best(self) -> None:
        """Let the network that states the best score answer every frame, at the largest size."""
        best = max(self._plan.models, key=lambda name: stated(read_card(name)))
        config = replace(self._plan.base, model=best, propagation=NO_PROPAGATION, precision='f32')
        built = self._built(config, 'reference')
        if built is not None and (sizes := self._sizes(built)):
            config = replace(config, size=max(sizes))
            built = self._built(config, 'reference')
        if built is None:
            raise VssError(self.left_out[name_of(config)])
        self.reference = name_of(config)
        for place, frame in enumerate(self._recording.frames):
            self._recording.truth[place] = built.segmenter.step(frame).labels

    def _sizes(self, built: Built) -> list[tuple[int, int]]:
        """Return further network inputs to try; none where it takes but one."""
        backbone, step = built.segmenter.parts.backbone, built.segmenter.parts.backbone.size_step
        if backbone.fixed_size or self._plan.sizes:
            return list(self._plan.sizes[1:])
        height, width = built.segmenter.network_size(self._recording.camera)
        scales = [area**0.5 / step for area in AREAS[1:]]
        return [(max(round(height * by), 1) * step, max(round(width * by), 1) * step) for by in scales]

    def _candidates(self) -> list[SegmenterConfig]:
        """Return every system around the networks that no other beats in both time and accuracy."""
        first, device = next(iter(self._plan.sizes), None), choose_device(self._plan.base.device)
        sizes: dict[str, list[tuple[int, int]]] = {}
        for model in self._plan.models:
            base = replace(self._plan.base, model=model, size=first)
            for contender in per_frame(base, read_card(model), device, self._plan.runtimes, quick=True):
                sizes[model] = self._look_at(contender.config) or sizes.get(model, [])
        for network in self._front():
            for size in sizes[network.config.model]:
                self._look_at(replace(network.config, size=size))
        found: list[SegmenterConfig] = []
        late: list[SegmenterConfig] = []
        front = self._front()
        last, number = len(front) - 1, min(self._plan.networks, len(front))
        chosen = [front[round(place * last / max(number - 1, 1))] for place in range(number)]
        for network, system in product(chosen, self._plan.systems):
            config = replace(network.config, track='fast_slow', propagation=self._plan.base.propagation)
            config = replace(config, **system)
            if config.propagation == NO_PROPAGATION and network.ms['p50'] > NEARLY * 1e3 * self._budget:
                self.left_out[name_of(config)] = f'the network alone takes {network.ms["p50"]:.0f} ms'
                late.append(config)
            elif config not in found:
                found.append(config)
        return found or late[-1:]  # the fastest, where nothing may meet the budget

    def _look_at(self, config: SegmenterConfig) -> list[tuple[int, int]]:
        """Time and score a whole network on stills; return further sizes for it."""
        self._bar.total += 1
        built = self._built(config, WHOLE)
        self._bar.update()
        if built is None:
            return []
        trial, answers = Trial(config), {}
        for place in range(0, len(self._recording.frames), len(self._recording.frames) // STILLS):
            start = perf_counter()
            answers[place] = built.segmenter.step(self._recording.frames[place]).labels
            trial.seconds.append(perf_counter() - start)
        trial.score, trial.sent, trial.answered = score(answers, self._recording), len(answers), len(answers)
        self.networks.append(trial)
        return self._sizes(built)

    def _front(self) -> list[Trial]:
        front: list[Trial] = []
        for network in sorted(self.networks, key=lambda trial: trial.ms['p50']):
            if not front or network.score > front[-1].score + AS_GOOD:
                front.append(network)
        return front[::-1]

    def for_machines(self) -> dict[str, Any]:
        """Return all that was found as plain values, the best trial first."""
        return {
            'format': 1, 'budget_ms': self._plan.budget_ms, 'node_ms': self._plan.node_ms,
            'measure': 'agreement' if self.reference else 'miou', 'reference': self.reference,
            'machine': describe_machine(choose_device(self._plan.base.device)),
            'tried': [self._row(trial) for trial in sorted(self.tried.values(), key=self._order)],
            'networks': [self._row(network) for network in self.networks], 'left_out': self.left_out,
        }  # fmt: skip

    def _row(self, trial: Trial) -> dict[str, Any]:
        counts = {name: getattr(trial, name) for name in ('sent', 'answered', 'key_frames', 'given_up')}
        values = parameters(trial.config)
        return {
            'name': name_of(trial.config), 'meets': self.meets(trial), 'score': rounded(trial.score),
            'latency_ms': self.latency_ms(trial), **counts, 'parameters': values,
        }  # fmt: skip


def stated(card: ModelCard) -> float:
    """Return the best mIoU that a card states, 0 where it states none."""
    return max((float(value) for name, value in card.scores.items() if name.endswith('_miou')), default=0.0)


def name_of(config: SegmenterConfig) -> str:
    """Return what tables call a configuration."""
    model = config.model.rpartition('/')[2].removesuffix('.yaml')
    system = [config.propagation]
    if config.propagation != NO_PROPAGATION:
        system += [config.scheduler, f'every {config.interval}' * bool(config.interval)]
        system += [config.motion * (config.motion != 'auto')]
    words = filter(None, system)
    return f'{model} {written_size(config.size)} {config.runtime} {config.precision}, {" ".join(words)}'
