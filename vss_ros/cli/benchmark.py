"""Measure how fast everything is on this machine: runtimes, propagations, tracks, the node, your own network.

All contenders take turns at the same frames in one process, so that what else the machine does hits all
alike; look at ratios first. Compared are the network on every frame in every runtime at every precision, your
own network (an .onnx) beside it, and every propagation with its usual scheduler on both tracks, in the best
runtime and in PyTorch; then what the node itself costs over DDS (needs ROS 2). docs/benchmark.md explains
the columns. Other work on the machine spoils the figures; the result says so.

Examples:
  vss benchmark                                       under 10 minutes on two cores
  vss benchmark --quick                               under one minute
  vss benchmark mine.onnx -o out                      your network in the same run; plot and JSON in out/
  vss benchmark --size 352x480 --size 704x960 --threads 1 --threads 2 --propagation none
  vss benchmark --input drive.mp4 --propagation refined_warping --json figures.json
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.engine.option import parse_size
from vss_ros.engine.options import TRACKS
from vss_ros.errors import VssError
from vss_ros.files import write_json, write_whole

if TYPE_CHECKING:
    import argparse

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.evaluation.benchmark.benchmark import Plan

FRAMES, QUICK_FRAMES = 80, 24
"""Counted of each contender."""
MOST_IMAGES = 100
"""Of the input: longer ones would fill the memory; they are shown forwards and backwards."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'files MODEL.onnx', 'networks of your own', nargs='*')
    add(parser, '--quick', 'few contenders and frames')
    add(parser, '--input INPUT', 'video, image folder or bag (default: the clip that ships)')
    add_option(parser, 'model')
    text = "network input, any number (default: the model's own)"
    add(parser, '--size HxW', text, action='append', type=parse_size)
    text = 'CPU threads per track, any number (default: half the cores)'
    add(parser, '--threads N', text, action='append', type=int)
    add_option(parser, 'device')
    add(parser, '--runtime R', 'only this one, any number', action='append')
    text = 'only this one, any number; none: the network on every frame alone'
    add(parser, '--propagation P', text, action='append')
    add(parser, '--track T', 'only this one', action='append', choices=TRACKS)
    text = f'counted of each contender (default: {FRAMES}, {QUICK_FRAMES} with --quick)'
    add(parser, '--frames N', text, type=int)
    add(parser, '--no-node', 'leave out what the node costs')
    add(parser, '-o --output DIR', 'folder for benchmark.json and benchmark.png')
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measure; returns 0, or 1 where something that was named could not run."""
    from tqdm import tqdm

    from vss_ros.evaluation.benchmark.benchmark import Benchmark
    from vss_ros.evaluation.benchmark.table import plot, table

    plan = _plan(args)
    images, rate = _images(args)
    people = sys.stderr if str(args.json) == '-' else sys.stdout
    with tqdm(total=0, unit='turn', desc='benchmark', disable=None) as bar:
        benchmark = Benchmark(plan, images, rate, bar)
        if benchmark.busy:
            print('vss: this machine is busy with something else; take ratios, not times', file=sys.stderr)
        benchmark.run()
    print(table(benchmark.rows), file=people)
    for name, reason in benchmark.left_out.items():
        print(f'left out: {name}: {reason}', file=people)
    found = benchmark.for_machines()
    node = _node_cost(args)
    print(node.pop('text'), file=people)
    found['node'] = node
    write_json(args.json, found)
    if args.output is not None:
        write_json(args.output / 'benchmark.json', found)
        write_whole(args.output / 'benchmark.png', plot(benchmark.rows))
        print(f'look at {args.output}/benchmark.png', file=people)
    named = args.files or args.runtime or args.propagation or args.track
    return int(bool(named and benchmark.left_out))


def _plan(args: argparse.Namespace) -> Plan:
    from vss_ros.engine.device import default_threads
    from vss_ros.engine.propagation.base import NO_PROPAGATION
    from vss_ros.evaluation.benchmark.benchmark import Plan
    from vss_ros.evaluation.benchmark.contenders import QUICK, all_propagations, all_runtimes

    usual = QUICK_FRAMES if args.quick else FRAMES
    frames = usual if args.frames is None else args.frames
    threads = args.threads or [default_threads(background=True)]
    if frames < 1 or min(threads) < 1:
        raise VssError(f'expected --frames and --threads of 1 or more, got {frames} and {min(threads)}')
    names = args.propagation or (list(QUICK) if args.quick else all_propagations())
    names = [name for name in names if name != NO_PROPAGATION]
    if unknown := set(names) - set(all_propagations()):
        expected = ', '.join(all_propagations())
        raise VssError(f'no propagation is called {unknown.pop()!r}; expected one of: {expected}')
    tracks = args.track or (['fast_slow'] if args.quick else TRACKS)
    return Plan(
        model=args.model, device=args.device, sizes=tuple(args.size or [None]), threads=tuple(threads),
        runtimes=tuple(args.runtime or all_runtimes()), propagations=tuple(names), tracks=tuple(tracks),
        files=tuple(args.files), frames=frames, quick=args.quick,
    )  # fmt: skip


def _images(args: argparse.Namespace) -> tuple[list[NDArray[np.uint8]], float]:
    """Return the first images of the input, those of its first image's size, and its rate."""
    from vss_ros.recordings.open import open_source
    from vss_ros.resources import resource

    path = args.input or resource('test', 'data', 'street')
    with open_source(path) as source:
        images = [frame.image for frame, _ in islice(source, MOST_IMAGES)]
        rate = source.fps or 15.0
    if not images:
        raise source.nothing
    return [image for image in images if image.shape == images[0].shape], rate


def _node_cost(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the node costs, or why that was not measured, with text for people."""
    if args.no_node:
        return {'reason': '--no-node', 'text': 'the node: left out (--no-node)'}
    try:
        # By their names: the command line runs without ROS.
        module, begun = import_module('vss_ros.live.node_cost'), import_module('vss_ros.live.node_start')
    except ImportError as error:
        reason = (
            f'no Python package {error.name!r}; source a ROS 2 distribution and the workspace in which '
            'colcon built vss_ros, or, in a checkout, call `tools/run vss benchmark`'
        )
        return {'reason': reason, 'text': f'the node: not measured, {reason}'}
    print('measuring the node over DDS', file=sys.stderr)
    try:
        starts = begun.measure_node_start(quick=args.quick)
        costs = module.measure_node_cost(quick=args.quick)
    except VssError as error:
        return {'reason': str(error), 'text': f'the node: not measured, {error}'}
    text = f'the node, rgb8 in, mono8 out, milliseconds p50 / p99 by stage\n{module.table(costs)}'
    text += f'\nthe node with its default parameters, from its start\n{begun.table(starts)}'
    return {
        'costs': [asdict(cost) for cost in costs],
        'starts': [asdict(start) for start in starts],
        'text': text,
    }
