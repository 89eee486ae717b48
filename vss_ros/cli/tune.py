"""Find the most accurate parameters within a budget of latency, on this machine and your recording.

Tries networks, sizes, runtimes, propagations, schedulers and intervals: networks alone first, on stills, then
systems around the best, played at the recording's own rate with the slow track running beside, as on a robot.
What is far beyond the budget after 20 frames is given up; the best go on for longer. Judged are a frame's p99
with what the node adds (measured over DDS where ROS is there, else 1.2 ms and 1.6 a million pixels), and mIoU
or, without masks, agreement with the best network on every frame. Let nothing else run. See docs/tune.md.
Exit status 1: nothing meets the budget, and what is fastest was written.

Examples:
  vss tune drive.mcap --latency 20                     writes params.yaml and params.md in some minutes
  vss tune drive.mp4 --latency 33 --quick -o out/quick.yaml
  vss tune drive.mcap --latency 50 --model mine.yaml --size 480x640 --size 704x960 --start 30
  ros2 launch vss_ros segment.launch.py params_file:=$PWD/params.yaml
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.cli.common import add_input_arguments, add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.engine.option import parse_size
from vss_ros.engine.options import SegmenterConfig
from vss_ros.errors import VssError
from vss_ros.files import keep_apart, write_json, write_text

if TYPE_CHECKING:
    import argparse

    from vss_ros.evaluation.tune.drive import Recording

FRAMES, QUICK_FRAMES = 150, 45
NETWORKS, QUICK_NETWORKS = 5, 2
NONE = 'none'
INTERVALS = (2, 5)
FIGURES = ('p50', 'p99', 'max')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'input INPUT', 'bag, video or image folder')
    add(parser, '--latency MS', 'budget of a frame: p99, milliseconds', required=True, type=float)
    add(parser, '-o --output FILE', 'parameter file; its table goes beside it, .md', Path('params.yaml'))
    add(parser, '--quick', 'the default network alone, fewer systems and frames')
    add(parser, '--start SECONDS', 'where in the recording to begin', 0.0)
    add(parser, '--frames N', f'most to play (default: {FRAMES}, {QUICK_FRAMES} with --quick)', type=int)
    text = "network, any number (default: all shipped ones with the default's classes)"
    add(parser, '--model CARD', text, action='append')
    add(parser, '--runtime R', 'only this one, any number', action='append')
    text = "network input, any number (default: four about the model's own)"
    add(parser, '--size HxW', text, action='append', type=parse_size)
    add(parser, '--propagation P', 'only this one, any number', action='append')
    add(parser, '--node-ms MS', 'what the node adds to a frame (default: measured)', type=float)
    add_option(parser, 'device')
    add_option(parser, 'threads')
    add_input_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Search and write; returns 0, or 1 where nothing meets the budget."""
    import yaml
    from tqdm import tqdm

    from vss_ros.evaluation.benchmark.benchmark import BUSY
    from vss_ros.evaluation.benchmark.contenders import all_runtimes
    from vss_ros.evaluation.tune.tune import Plan, Tuner

    if not args.latency > 0:
        raise VssError(f'--latency {args.latency:g}: expected milliseconds above 0')
    keep_apart(args.output, args.input)
    models, systems = _models(args), _systems(args)
    if os.getloadavg()[0] > BUSY * (os.cpu_count() or 1):
        print('vss: this machine is busy with something else, which counts as slowness here', file=sys.stderr)
    recording = _recording(args, models[0])
    node_ms, node = node_cost(args.node_ms, recording.camera)
    base = SegmenterConfig(device=args.device, threads=args.threads)
    networks = QUICK_NETWORKS if args.quick else NETWORKS
    runtimes, sizes = tuple(args.runtime or all_runtimes()), tuple(args.size or ())
    plan = Plan(args.latency, node_ms, base, models, runtimes, sizes, systems, networks)
    with tqdm(total=0, unit='trial', desc='tune', disable=None) as bar:
        tuner = Tuner(plan, recording, bar)
        tuner.run()
    found = tuner.for_machines() | {'input': str(args.input), 'node': node}
    best, page = found['tried'][0], _page(found)
    print(page, file=sys.stderr if str(args.json) == '-' else sys.stdout)
    write_text(args.output.with_suffix('.md'), page + '\n')
    why = f'# vss tune {args.input.name} --latency {args.latency:g}, {found["machine"]["cpu"]}\n'
    why += f'# {best["name"]}: {found["measure"]} {best["score"]}, with the node {best["latency_ms"]} ms\n'
    parameters = {'/**': {'ros__parameters': best['parameters']}}
    write_text(args.output, why + yaml.safe_dump(parameters, sort_keys=False))
    write_json(args.json, found)
    if not best['meets']:
        print(f'vss: nothing meets {args.latency:g} ms; {args.output} has what is fastest', file=sys.stderr)
    return 0 if best['meets'] else 1


def _models(args: argparse.Namespace) -> tuple[str, ...]:
    """Return the networks' names or paths, all of the same classes, the default first."""
    from vss_ros.engine.model_card import read_card, shipped_cards

    names = args.model or [SegmenterConfig().model]
    cards = {str(Path(name).resolve()) if name.endswith('.yaml') else name: read_card(name) for name in names}
    classes = next(iter(cards.values())).class_names
    if not (args.model or args.quick):
        cards |= {card.name: card for card in shipped_cards() if card.class_names == classes}
    if any(card.class_names != classes for card in cards.values()):
        raise VssError('expected networks of the same classes, got several kinds; tune each by itself')
    return tuple(cards)


def _recording(args: argparse.Namespace, model: str) -> Recording:
    from vss_ros.engine.model_card import read_card
    from vss_ros.evaluation.tune.drive import read
    from vss_ros.images.classes import load_classes
    from vss_ros.recordings.open import open_source

    usual = QUICK_FRAMES if args.quick else FRAMES
    number = usual if args.frames is None else args.frames
    if number < 1:
        raise VssError(f'expected --frames of 1 or more, got {number}')
    masks = Path(args.masks) if args.masks else None
    with open_source(args.input, image_topic=args.image_topic or None, masks=masks, fps=args.fps) as source:
        return read(source, load_classes(read_card(model).classes), args.start, number)


def _systems(args: argparse.Namespace) -> tuple[dict[str, Any], ...]:
    """Return what to set around a network: the usual scheduler of each propagation, and a few intervals."""
    from vss_ros.evaluation.benchmark.contenders import KEPT_BUSY, SCHEDULES, all_propagations

    names = args.propagation or [*KEPT_BUSY, 'refined_warping', NONE]
    if unknown := set(names) - {*all_propagations(), NONE}:
        raise VssError(f'no propagation is called {unknown.pop()!r}; `vss models` lists them')
    systems = [
        {'propagation': name} | ({} if name in KEPT_BUSY else SCHEDULES.get(name, {})) for name in names
    ]
    if not args.propagation:
        systems += [{'motion': 'dis'}, {'propagation': 'flow_warp', 'motion': 'dis_half'}]
        systems += [{'scheduler': 'fixed_interval', 'interval': n} for n in INTERVALS if not args.quick]
    return tuple(systems)


def node_cost(said: float | None, camera: tuple[int, int]) -> tuple[dict[str, float], str]:
    """Return what the node adds to each figure, and how that is known."""
    if said is not None:
        return dict.fromkeys(FIGURES, said), 'as said'
    try:
        module = import_module('vss_ros.live.node_cost')  # by its name: the command line runs without ROS
        print('measuring the node over DDS', file=sys.stderr)
        (cost,) = module.measure_node_cost(sizes=[camera], overlays=(False,), frames=40)
    except (ImportError, VssError):
        allowed = round(1.2 + 1.6e-6 * camera[0] * camera[1], 2)
        return dict.fromkeys(FIGURES, allowed), 'allowed for, as there is no ROS to measure it by'
    return {name: cost.stages_ms['beyond'][name] for name in FIGURES}, 'measured over DDS'


def _page(found: dict[str, Any]) -> str:
    """Return the table of what was tried as Markdown, and what its figures mean."""
    head = ('', *FIGURES, found['measure'], 'key frames', 'answered', 'of', 'in budget')
    lines = ['| ' + ' | '.join(head) + ' |', '| --- ' + '| ---: ' * 8 + '|']
    for row in found['tried']:
        times = [f'{row["latency_ms"][name]:.1f}' for name in FIGURES]
        counts = [str(row[name]) for name in ('key_frames', 'answered', 'sent')]
        verdict = 'yes' if row['meets'] else 'given up' if row['given_up'] else 'no'
        cells = [row['name'], *times, f'{100 * row["score"]:.1f}', *counts, verdict]
        lines.append('| ' + ' | '.join(cells) + ' |')
    added = ', '.join(f'{ms:.1f}' for ms in found['node_ms'].values())
    lines += ['', f'Milliseconds with what the node adds to each ({added}, {found["node"]}); score in %.']
    lines += [f'Agreement is with {found["reference"]}.'] * bool(found['reference'])
    return '\n'.join([*lines, *(f'Left out: {name}: {reason}' for name, reason in found['left_out'].items())])
