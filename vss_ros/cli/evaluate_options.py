"""What ``vss evaluate`` runs elsewhere than in a replay here: the real node (``--live``), a Ray cluster.

ROS 2 and Ray are looked for only when one of them is asked for.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vss_ros.command_line import add
from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.pool import Job
    from vss_ros.evaluation.sweep.sweep import Sweep


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of evaluation by the real node and on several machines."""
    group = parser.add_argument_group('live evaluation (needs ROS 2)')
    text = 'play to the real node over DDS and score what a subscriber receives'
    add(group, '--live', f'{text}; --slow-delay says nothing then, the slow track is the real one')
    add(group, '--rate', "speed, 1 being the input's own", 1.0)
    text = 'full name of a node that runs already, such as /segmentation, which the images reach by its'
    add(group, '--attach NODE', f'{text} remappings; its own parameters count', '')
    group = parser.add_argument_group('evaluation on a cluster (needs Ray: pip install "vss_ros[ray]")')
    text = 'processes of this machine, or Ray tasks, one an input'
    add(group, '--engine', text, 'local', choices=('local', 'ray'))
    text = "the cluster's head node (default: the cluster that this machine has joined)"
    add(group, '--address HOST:PORT', text, 'auto')


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
    if names := ', '.join(config.name for config in sweep.configurations if config.pda):
        print(f'vss: pda: true is left out, as it measures by replaying: {names}', file=sys.stderr)
    return replace(sweep, configurations=tuple(c.as_live(args.rate) for c in sweep.configurations))


def live_node() -> Any:
    """Return the module that runs live evaluations.

    Raises:
        VssError: ROS 2's Python or this package's messages are missing.
    """
    try:
        return import_module('vss_ros.live.jobs')  # by its name: the command line runs without ROS
    except ImportError as error:
        raise VssError(
            f'expected ROS 2 for --live, got no Python package {error.name!r}; source a ROS 2 distribution '
            f'and the workspace in which colcon built vss_ros, or, in a checkout, call '
            f'`tools/run vss evaluate`'
        ) from error


def check_cluster(args: argparse.Namespace) -> None:
    """Refuse combinations that make no sense.

    Raises:
        VssError: One of them.
    """
    if args.engine == 'local':
        if args.address != 'auto':
            raise VssError('--address is of a Ray cluster; add --engine ray')
        return
    if args.workers > 1:
        raise VssError(f'--workers {args.workers}: how many run at a time is up to Ray; leave it out')
    if args.live:
        raise VssError('--live plays on this machine; leave out --engine ray')


def evaluate_on_cluster(jobs: Sequence[Job], store: Path | None, address: str) -> dict[Job, Evaluated]:
    """Return the results of all jobs; the progress bar counts inputs that are done.

    Raises:
        VssError: See ``run_ray_jobs``.
    """
    from tqdm import tqdm

    from vss_ros.evaluation.sweep.ray import run_ray_jobs

    found: dict[Job, Evaluated] = {}
    left = Counter(job.path for job in jobs)
    with tqdm(total=len(left), unit='input', desc='evaluating', disable=None) as bar:
        for job, evaluated in run_ray_jobs(jobs, None if store is None else str(store), address=address):
            found[job] = evaluated
            left[job.path] -= 1
            bar.update(int(not left[job.path]))
    return found
