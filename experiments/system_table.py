"""The default beside the network on every frame and the five systems: what each costs and what it scores.

Each answers the recording at its own pace, several times, in turns, by the node's own `step()` with the real
slow track in its own thread: accuracy has the delay that the track has on this machine, which has to be
quiet. One thread a track. The default is there with rarer key frames, too, to compare at equal cost.

Examples:
  python -m experiments.system_table camvid/val                    six minutes; the table as Markdown
  python -m experiments.system_table camvid_720/val --size 704x960 --repeats 2 --json table.json
  python -m experiments.system_table val_bag --only auto default   these of plot.yaml alone
"""

from __future__ import annotations

import sys
from itertools import product
from statistics import mean
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
import yaml
from tqdm import tqdm

from experiments.accuracy_page import markdown
from vss_ros.command_line import add, new_parser
from vss_ros.engine.build import build_segmenter
from vss_ros.engine.option import parse_size
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.temporal import TemporalConsistency
from vss_ros.evaluation.replay.clock import describe_machine
from vss_ros.evaluation.replay.operations import frame_operations
from vss_ros.evaluation.tune.drive import Recording, Trial, drive, read
from vss_ros.files import write_json
from vss_ros.images.classes import load_classes
from vss_ros.latency import percentiles
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.accuracy_page import Row
    from vss_ros.evaluation.tune.drive import Answers

WHOLE, OURS = 'auto', 'default'
"""Names in plot.yaml of the network on every frame and of what is compared with all others."""
REPEATS = 5
VARIANTS = {f'{OURS}, key frames {n} apart': {'min_interval': n} for n in (3, 6)}
NO_BUDGET = 1e9


def systems(only: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the configurations of plot.yaml in the runtime that ``auto`` takes; nobody names one for these.

    Raises:
        VssError: One is not there.
    """
    text = resource('config', 'experiments', 'plot.yaml').read_text(encoding='utf-8')
    found = {k: v for k, v in yaml.safe_load(text)['configurations'].items() if 'runtime' not in v} | VARIANTS
    if missing := set(only) - found.keys():
        raise VssError(f'expected systems among {", ".join(found)}, got {", ".join(sorted(missing))}')
    return {name: found[name] for name in only or found}


class System:
    """One configuration and what came of its drives."""

    def __init__(self, name: str, config: SegmenterConfig, recording: Recording) -> None:
        self.name, self._recording = name, recording
        self._built = build_segmenter(config)
        self._built.segmenter.warm_up(recording.camera)
        with torch.inference_mode():
            parts, size = self._built.segmenter.parts, self._built.segmenter.network_size(recording.camera)
            self._operations = frame_operations(parts, size, self._built.device).by_track
        self._trials: list[Trial] = []
        self._steady: list[float] = []
        self.runtime = self._built.runtime.description

    def drive(self) -> None:
        """Answer the recording once."""
        self._built.segmenter.request_reset()
        self._trials.append(Trial(SegmenterConfig()))
        frames = len(self._recording.frames)
        answers = drive(self._built, self._trials[-1], self._recording, frames, NO_BUDGET)
        self._steady.append(steadiness(answers, self._recording))

    def row(self) -> Row:
        """Return the figures of all drives."""
        answered = sum(trial.answered for trial in self._trials)
        tracks = [(who, n) for trial in self._trials for who, n in trial.tracks.items()]
        times = percentiles([seconds for trial in self._trials for seconds in trial.seconds])
        return {
            'system': self.name,
            'runtime': self.runtime,
            'mIoU': 100 * mean(trial.score for trial in self._trials),
            'steadiness': 100 * mean(self._steady),
            'p50': times['p50'],
            'p99': times['p99'],
            'worst': times['max'],
            'CPU ms': 1e3 * sum(trial.cpu_seconds for trial in self._trials) / answered,
            'GFLOP': sum(self._operations[who] * n for who, n in tracks) / answered / 1e9,
            'key frames %': 100 * sum(trial.key_frames for trial in self._trials) / answered,
            'answered': f'{answered} of {sum(trial.sent for trial in self._trials)}',
        }

    def close(self) -> None:
        """End its threads."""
        self._built.segmenter.close()


def steadiness(answers: Answers, recording: Recording) -> float:
    """Return the temporal consistency of the answers, 0..1."""
    metric = TemporalConsistency(len(recording.table), recording.table.void_id)
    for place, labels in answers.items():
        image, size = recording.frames[place].image, labels.shape[::-1]
        if image.shape[:2] != labels.shape:
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        metric.add(image, labels)
    return metric.miou


def verdicts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what the table says of each form of the default against each of the others."""
    ours = [row for row in rows if row['system'].startswith(OURS)]
    found = []
    for mine, other in product(ours, (row for row in rows if row not in ours)):
        parts = [f'{score} {mine[score] - other[score]:+.1f}' for score in ('mIoU', 'steadiness')]
        parts += [f'{mine[cost] / other[cost]:.2f} of its {cost}' for cost in ('CPU ms', 'p99')]
        parts += [f'p99 {mine["p99"] / other["p50"]:.2f} of its p50'] * (other['system'] == WHOLE)
        found.append(f'- {mine["system"]} against {other["system"]}: {", ".join(parts)}')
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = new_parser('python -m experiments.system_table', __doc__)
    add(parser, 'input INPUT', 'bag or image folder with masks')
    add(parser, '--repeats N', 'drives of each system', REPEATS)
    add(parser, '--frames N', 'of the recording, at most', 1000)
    add(parser, '--size HxW', "network input (default: the model's own)", type=parse_size)
    add(parser, '--only NAME', 'systems of plot.yaml', nargs='+', default=[])
    add(parser, '--json FILE', 'also write the figures as JSON')
    args = parser.parse_args(argv)
    try:
        chosen = systems(args.only)
        with open_source(args.input) as source:
            recording = read(source, load_classes('camvid11'), 0.0, args.frames)
        rows = _measure(chosen, recording, args.size, args.repeats)
    except VssError as error:
        sys.exit(f'system_table: {error}')
    machine = describe_machine(torch.device('cpu'))
    print(markdown(rows), '', *verdicts(rows), '', f'{machine["cpu"]}, {machine["date"]}', sep='\n')
    write_json(args.json, {'machine': machine, 'rows': rows})
    return 0


def _measure(
    chosen: Mapping[str, Mapping[str, Any]], recording: Recording, size: tuple[int, int] | None, repeats: int
) -> list[Row]:
    ready = []
    try:
        for name, options in tqdm(chosen.items(), desc='building', leave=False):
            config = SegmenterConfig(size=size, threads=1, **options)
            ready.append(System(name, config, recording))
        for number in tqdm(range(repeats), desc='drives', leave=False):
            for system in reversed(ready) if number % 2 else ready:
                system.drive()
        return [system.row() for system in ready]
    finally:
        for system in ready:
            system.close()


if __name__ == '__main__':
    sys.exit(main())
