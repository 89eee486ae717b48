"""What several verbs share: segmenter options, JSON for machines, folders written whole."""

from __future__ import annotations

import json
import math
import os
import sys
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse

    from vss_ros.engine.build import SegmenterConfig


OPTIONS: tuple[tuple[str, type, Any, str, str], ...] = (
    ('--model', str, 'efficientnet_lite0_fpn', 'CARD', 'model card: name or path (default: %(default)s)'),
    ('--propagation', str, 'refined_warping', 'P', "propagation, or 'none' (default: %(default)s)"),
    ('--scheduler', str, 'accumulated_deviation', 'S', 'scheduler (default: %(default)s)'),
    ('--interval', int, 0, 'N', "most frames between key frames (default: the scheduler's)"),
    ('--min-interval', int, 1, 'N', 'fewest frames between key frames (default: 1)'),
    ('--threshold', float, nan, 'X', "score that makes a key frame (default: the model's)"),
    ('--slow-delay', int, 1, 'FRAMES', 'frames until the simulated slow track answers (default: 1)'),
    ('--motion', str, 'auto', 'M', "auto (the propagation's own), dis, light_flow, flow_net_s or codec"),
    ('--interior', int, 0, 'LAYER', "interior layer to cut it at, 1 to 3 if offered (default: model's own)"),
    ('--device', str, 'auto', 'DEVICE', 'auto, cpu, cuda or cuda:N (default: auto)'),
    ('--size', str, 'auto', 'HxW', "network input (default: the model's area at the camera's aspect)"),
    ('--threads', int, 0, 'N', 'CPU threads (default: leaves a core free)'),
)
"""Option, type, default, placeholder, help."""


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a segmenter is built from; names are those of the node's parameters."""
    group = parser.add_argument_group('segmenter')
    for option, kind, default, placeholder, text in OPTIONS:
        group.add_argument(option, type=kind, default=default, metavar=placeholder, help=text)
    tracks = ('fast_slow', 'blocking')
    text = 'who computes key frames (default: %(default)s)'
    group.add_argument('--track', default=tracks[0], choices=tracks, help=text)


def segmenter_config(args: argparse.Namespace) -> SegmenterConfig:
    """Return the configuration that the arguments ask for.

    Raises:
        VssError: A value makes no sense.

    """
    from vss_ros.engine.build import SegmenterConfig, parse_size

    if args.slow_delay < 1:
        msg = f'--slow-delay {args.slow_delay}: expected 1 or more frames; to wait use --track blocking'
        raise VssError(msg)
    return SegmenterConfig(
        model=args.model,
        propagation=args.propagation,
        scheduler=args.scheduler,
        threshold=args.threshold,
        min_interval=args.min_interval,
        interval=args.interval,
        track=args.track,
        slow_delay=args.slow_delay,
        device=args.device,
        size=parse_size(args.size),
        threads=args.threads,
        motion=args.motion,
        interior=args.interior,
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``, the same for every verb."""
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='also write the result as JSON ("-": to stdout)'
    )


def write_json(path: Path | None, result: Any) -> None:
    """Write a result for machines.

    Args:
        path: File, appearing once it is whole; ``-`` for standard output; None for nowhere.
        result: Plain values; NaN becomes null, which JSON has.
    """
    if path is not None:
        write_text(path, json.dumps(_plain(result), indent=2, ensure_ascii=False, default=str) + '\n')


def write_text(path: Path, text: str) -> None:
    """Write a file that appears once it is whole; ``-`` is standard output."""
    if str(path) == '-':
        sys.stdout.write(text)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        partial.write_text(text, encoding='utf-8')
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    return value
