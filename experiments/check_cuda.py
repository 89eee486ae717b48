"""Check and time a CUDA device: labels as on the CPU, one graph a piece, both tracks.

Example:
    tools/run python -m experiments.check_cuda  # under eight minutes; exit 1: something differs
    tools/run python -m experiments.check_cuda --device cpu --frames 6     # tries the script itself
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.model_card import shipped_cards
from vss_ros.engine.options import SegmenterConfig
from vss_ros.latency import percentiles
from vss_ros.recordings.open import open_source
from vss_ros.resources import resource

if TYPE_CHECKING:
    from vss_ros.engine.frames import Frame

AGREEMENT = 0.995
DEFAULT = SegmenterConfig().model


def configurations() -> list[SegmenterConfig]:
    """Return every shipped network on every frame, and every propagation of the default with both tracks."""
    cards = shipped_cards()
    plain = SegmenterConfig(scheduler='fixed_interval', runtime='torch')
    whole = [replace(plain, model=c.name, propagation='none') for c in cards if c.kind == 'backbone']
    moved = [c.builder for c in cards if c.kind == 'propagation' and c.base == DEFAULT]
    return whole + [replace(plain, propagation=name) for name in ('flow_warp', *moved)]


def main() -> int:
    """Print a line for each configuration; return 1 where labels differ or a piece fell back."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--frames', type=int, default=60)
    arguments = parser.parse_args()
    with open_source(resource('test', 'data', 'street')) as source:
        frames = [frame for frame, _ in source][: arguments.frames]
    wrong = False
    for config in configurations():
        # A simulated slow track, so that both see the same features; times are of the real one.
        reference, _ = run(replace(config, device='cpu', precision='f32', slow_delay=1), frames)
        for precision in ('f32', 'bf16' if arguments.device == 'cpu' else 'f16'):
            wanted = replace(config, device=arguments.device, precision=precision)
            labels, faults = run(replace(wanted, slow_delay=1), frames)
            agreement = float((labels == reference).mean())
            figures = ' '.join(f'{name} {value:.1f}' for name, value in times(wanted, frames).items())
            good = agreement >= AGREEMENT and not faults
            wrong |= not good
            sys.stdout.write(
                f'{"ok  " if good else "BAD "}{config.model} {config.propagation} {precision}: '
                f'{100 * agreement:.2f} % of labels, ms {figures} {"; ".join(faults)}\n'
            )
    return int(wrong)


def run(config: SegmenterConfig, frames: list[Frame]) -> tuple[np.ndarray, list[str]]:
    """Return the labels of all frames, and what could not be compiled."""
    built = build_segmenter(config)
    labels = np.stack([built.segmenter.step(frame).labels.copy() for frame in frames])
    built.segmenter.close()
    return labels, built.runtime.faults


def times(config: SegmenterConfig, frames: list[Frame]) -> dict[str, float]:
    """Return percentiles of the time of a step, milliseconds, the slow track running."""
    built = build_segmenter(config)
    built.segmenter.warm_up(frames[0].image.shape[:2])
    seconds = []
    for frame in frames:
        start = time.perf_counter()
        built.segmenter.step(frame)
        seconds.append(time.perf_counter() - start)
    built.segmenter.close()
    return percentiles(seconds)


if __name__ == '__main__':
    sys.exit(main())
