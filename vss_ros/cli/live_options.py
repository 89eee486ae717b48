"""What ``vss evaluate --live`` adds to the command line; ROS is looked for only when it is asked for."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse

    from vss_ros.evaluation.sweep.sweep import Sweep


def add_live_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of live evaluation."""
    group = parser.add_argument_group('live evaluation (needs ROS 2)')
    group.add_argument(
        '--live', action='store_true',
        help='play to the real node over DDS and score what a subscriber receives; --slow-delay says nothing '
        'then, the slow track is the real one',
    )  # fmt: skip
    group.add_argument(
        '--rate', type=float, default=1.0, help="speed, 1 being the input's own (default: %(default)s)"
    )
    group.add_argument(
        '--attach', default='', metavar='NODE',
        help='full name of a node that runs already, such as /segmentation, which the images reach by its '
        'remappings; its own parameters count',
    )  # fmt: skip


def check_live(args: argparse.Namespace) -> None:
    """Refuse combinations that make no sense, and say what is missing where ROS is.

    Raises:
        VssError: One of both.
    """
    if not args.live:
        if args.attach or args.rate != 1:
            raise VssError('--rate and --attach are of live evaluation; add --live')
        return
    if args.pda:
        raise VssError('--pda measures by replaying; leave out --live')
    if args.repeats is not None and args.repeats > 1:
        raise VssError(
            f'expected one run with --live, got --repeats {args.repeats}: no two drop the same frames, so '
            'there is no median of a frame; leave it out, and give the command again with another -o'
        )
    if args.workers > 1:
        raise VssError(f'expected one run at a time with --live, got --workers {args.workers}; leave it out')
    if args.attach and args.sweep is not None:
        raise VssError('--attach evaluates the node as it is; leave out --sweep')
    if args.attach and not args.attach.startswith('/'):
        raise VssError(f'expected the full name of a node, such as /segmentation, got {args.attach}')
    live_node()


def live_sweep(sweep: Sweep, args: argparse.Namespace) -> Sweep:
    """Return the sweep for the real node where that is asked for, and say what of it is left out.

    Raises:
        VssError: The rate makes no sense.
    """
    if not args.live:
        return sweep
    left_out = [config.name for config in sweep.configurations if config.pda]
    if left_out:
        names = ', '.join(left_out)
        print(f'vss: pda: true is left out, as it measures by replaying: {names}', file=sys.stderr)
    live = tuple(config.as_live(args.rate) for config in sweep.configurations)
    return replace(sweep, configurations=live)


def live_node() -> Any:
    """Return the module that runs live evaluations.

    Raises:
        VssError: ROS 2's Python or this package's messages are missing.
    """
    try:
        return import_module('vss_ros.live.jobs')  # by its name: nothing else here knows of ROS
    except ImportError as error:
        raise VssError(
            f'expected ROS 2 for --live, got no Python package {error.name!r}; source a ROS 2 distribution '
            f'and the workspace in which colcon built vss_ros, or, in a checkout, call '
            f'`tools/run vss evaluate`'
        ) from error
