"""Show the rate, latency, drops and key frames of running nodes, a line a camera.

Examples:
  vss monitor                     the table, anew every second, until Ctrl-C
  vss monitor --count 1           once, for scripts

in and out Hz: images that came and that were answered; p50 and p99: milliseconds from the receipt of an image
to its mask; age: of the image's stamp then, 95th percentile; key: share of key frames; behind: images that a
newer one replaced; lost: on the way; refused: damaged. It reads /diagnostics alone, so that it costs the node
nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from vss_ros.cli.common import add_json_argument
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``vss monitor`` takes."""
    add(parser, '--period S', 'seconds between two tables', 1.0)
    add(parser, '--count N', 'tables until it ends; 0: none', 0)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Show the tables."""
    if args.period <= 0 or args.count < 0:
        raise VssError(
            f'expected --period above 0 and --count of at least 0, got {args.period:g}, {args.count}'
        )
    try:
        module = import_module('vss_ros.live.monitor')  # by its name: the command line runs without ROS
    except ModuleNotFoundError as error:
        raise VssError(
            f'expected ROS 2 for vss monitor, got none ({error}); source its setup.bash'
        ) from error
    status, cameras = module.watch(args.period, args.count)
    write_json(args.json, {'cameras': cameras})
    return int(status)
