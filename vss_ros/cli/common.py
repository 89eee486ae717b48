"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse

    from vss_ros.engine.build import SegmenterConfig


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a segmenter is built from; names are those of the node's parameters."""
    group = parser.add_argument_group('segmenter')
    group.add_argument(
        '--model',
        default='efficientnet_lite0_fpn',
        metavar='CARD',
        help='model card: name or path (default: %(default)s)',
    )
    group.add_argument(
        '--propagation',
        default='spatially_variant_conv',
        metavar='P',
        help="propagation, or 'none' (default: %(default)s)",
    )
    group.add_argument(
        '--scheduler', default='predicted_deviation', metavar='S', help='scheduler (default: %(default)s)'
    )
    group.add_argument(
        '--interval',
        type=int,
        default=0,
        metavar='N',
        help="most frames between key frames (default: the scheduler's)",
    )
    group.add_argument(
        '--min-interval',
        type=int,
        default=1,
        metavar='N',
        help='fewest frames between key frames (default: 1)',
    )
    group.add_argument(
        '--threshold',
        type=float,
        default=nan,
        metavar='X',
        help="score that makes a key frame (default: the model's)",
    )
    group.add_argument(
        '--track',
        default='fast_slow',
        choices=('fast_slow', 'blocking'),
        help='who computes key frames (default: %(default)s)',
    )
    group.add_argument(
        '--slow-delay', type=int, default=1, metavar='FRAMES',
        help='frames until the slow track has answered; simulated and so repeatable (default: 1)',
    )  # fmt: skip
    group.add_argument(
        '--motion',
        default='auto',
        metavar='M',
        help="auto, dis, light_flow, flow_net_s or codec (default: auto, the propagation's own)",
    )
    group.add_argument(
        '--interior',
        type=int,
        default=0,
        metavar='LAYER',
        help="interior layer to cut the model at, 1 to 3 where it offers them (default: 0, the model's own)",
    )
    group.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    group.add_argument(
        '--size',
        default='auto',
        metavar='HxW',
        help="network input (default: the model's area at the camera's aspect)",
    )
    group.add_argument(
        '--threads', type=int, default=0, metavar='N', help='CPU threads (default: leaves a core free)'
    )


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
