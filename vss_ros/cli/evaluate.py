"""Replay bags, videos and image folders: how accurate, how late, how steady, at which cost.

Inputs are rosbag2 bags (MCAP, sqlite3; a folder of them stands for all), videos, image folders and the
layouts of CamVid and Cityscapes. The truth is the masks on a bag's mask topic or beside the images, those
in --masks DIR or, without any, the per-frame network's answers: the score is then called agreement.
Time is the input's own and the slow track is simulated, so that two runs give the same bytes; measured
times are kept apart. With -o a stopped run goes on where it was when the command is given again,
and DIR/report.html shows everything on one page.
With --live the input is played to the real node over DDS, and every mask counts as a planner receives it:
late ones late, lost ones lost by cause. That takes the time it takes, and no two runs are equal.
Exit status: 0, 1 where an input could not, or only in part, be evaluated, 2 where none could.

Examples:
  vss evaluate street_bag
  vss evaluate bags/ -o out --sweep config/experiments/sweep.yaml
  vss evaluate drive.mp4 --masks labels/ --track blocking --scheduler fixed_interval --interval 5
  vss evaluate camvid/val --pda --json result.json
  vss evaluate /data/bags -o out --engine ray --address 10.0.0.1:6379
  vss evaluate street_bag --live --rate 3 -o overload
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from vss_ros.cli.common import (
    add_input_arguments,
    add_json_argument,
    add_segmenter_arguments,
    segmenter_config,
)
from vss_ros.cli.evaluate_options import (
    add_engine_arguments,
    check_cluster,
    check_live,
    evaluate_on_cluster,
    live_node,
    live_sweep,
)
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse

    from vss_ros.evaluation.replay.result import Evaluated
    from vss_ros.evaluation.sweep.outputs import Evaluation
    from vss_ros.evaluation.sweep.pool import Job
    from vss_ros.evaluation.sweep.sweep import Sweep

SWEEP_REPEATS = 3
"""Replays of which a sweep's times are the median: the fewest that outvote one busy moment."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'inputs INPUT', 'bag, video or image folder', nargs='+')
    add(parser, '-o --output DIR', 'folder of results; what it holds is not done again')
    add(parser, '--fresh', 'do again what the folder holds, and time it anew')
    add(parser, '--sweep FILE', 'evaluate the configurations of this YAML file')
    called = 'of several inputs in folders called like them, of bags and videos called by stamp or frame'
    add_input_arguments(parser, masks=f'; {called} number')
    add(parser, '--agreement', 'compare with the per-frame network even where masks are')
    add(parser, '--pda', 'also accuracy over propagation distance')
    text = (
        "replays of each input, of which a frame's time is the median, so that a busy moment of the machine "
        f'is in none; scores stay as they are (default: {SWEEP_REPEATS} with --sweep, whose verdict hangs on '
        'the worst latency, else 1)'
    )
    add(parser, '--repeats N', text, type=int)
    add(parser, '--mask-topic TOPIC', 'where a bag has several', '')
    text = "processes of --threads each; more than one are sooner done but disturb one another's times"
    add(parser, '--workers N', text, 1)
    add_engine_arguments(parser)
    add_segmenter_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate; returns the exit status."""
    from vss_ros.evaluation.replay.input_frames import expand
    from vss_ros.evaluation.report.figures import text_of
    from vss_ros.evaluation.sweep.outputs import Evaluation, check_folder, write_evaluation
    from vss_ros.evaluation.sweep.pool import Job

    if args.workers < 1:
        raise VssError(f'expected --workers of 1 or more, got {args.workers}')
    if args.repeats is not None and args.repeats < 1:
        raise VssError(f'expected --repeats of 1 or more, got {args.repeats}')
    check_cluster(args)
    check_live(args)
    if args.output is not None:
        check_folder(args.output)
    sweep = live_sweep(_sweep(args), args)
    inputs = expand(args.inputs)
    jobs = [Job(str(path), config) for path in inputs for config in sweep.configurations]
    try:
        found = _evaluate(jobs, sweep, args)
    except KeyboardInterrupt:
        if args.output is not None:
            print('vss: the same command goes on from here', file=sys.stderr)
        raise
    by_configuration = [(c, [found[Job(str(path), c)] for path in inputs]) for c in sweep.configurations]
    evaluation = Evaluation.of(by_configuration, sweep.refused)
    if args.output is not None:
        write_evaluation(evaluation, args.output)
    write_json(args.json, _for_machines(evaluation, sweep=args.sweep is not None))
    people = sys.stderr if str(args.json) == '-' else sys.stdout
    print(text_of(evaluation), file=people)
    if args.output is not None:
        from vss_ros.evaluation.report.writing import write_report

        print(f'report: {write_report(args.output)}', file=people)
    return _status(evaluation)


def _sweep(args: argparse.Namespace) -> Sweep:
    from vss_ros.engine.build import outline_segmenter
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.evaluation.sweep.sweep import Sweep, checked, read_sweep, with_references

    segmenter = live_node().settings_of(args.attach) if args.attach else segmenter_config(args)
    base = EvaluationConfig(
        segmenter=segmenter,
        name=segmenter.propagation,
        image_topic=args.image_topic,
        mask_topic=args.mask_topic,
        masks='' if args.masks is None else str(args.masks),
        agreement=args.agreement,
        fps=args.fps,
        pda=args.pda,
        repeats=args.repeats or (SWEEP_REPEATS if args.sweep is not None and not args.live else 1),
    )
    if args.sweep is None:
        outline_segmenter(segmenter)  # what cannot be built is said before an input is read
        return Sweep((base.resolved(),))
    sweep = checked(with_references(read_sweep(args.sweep, base)))
    if not sweep.configurations:
        raise VssError(f'{args.sweep}: all is refused, the first because: {sweep.refused[0].reason}')
    return sweep


def _evaluate(jobs: list[Job], sweep: Sweep, args: argparse.Namespace) -> dict[Job, Evaluated]:
    from tqdm import tqdm

    from vss_ros.evaluation.replay.input_frames import Inputs
    from vss_ros.evaluation.sweep.outputs import STORE
    from vss_ros.evaluation.sweep.pool import expected_frames, run_jobs

    run = partial(run_jobs, workers=args.workers)
    if args.live:
        run = partial(live_node().run_live_jobs, node=args.attach)

    store = None if args.output is None else args.output / STORE
    if store is not None and args.fresh:
        for file in store.glob('*.json'):
            file.unlink()
    _warn_of_too_many(args.workers, sweep)
    if args.engine == 'ray':
        return evaluate_on_cluster(jobs, store, args.address)
    counted: Counter[Job] = Counter()
    found: dict[Job, Evaluated] = {}
    with Inputs() as opened, tqdm(unit='frame', desc='evaluating', disable=None) as bar:
        expected = expected_frames(jobs, opened, args.workers)
        bar.reset(total=sum(expected.values()))

        def count(job: Job) -> None:
            counted[job] += 1
            bar.update()

        folder = None if store is None else str(store)
        for job, evaluated in run(jobs, folder, inputs=opened, on_frame=count):
            found[job] = evaluated
            # What was stored, or broke off, takes no time any more.
            bar.total -= expected[job] - counted[job]
            bar.set_postfix_str(job.config.name, refresh=True)
    return found


def _warn_of_too_many(workers: int, sweep: Sweep) -> None:
    """Say what to do where the workers have more threads than there are cores."""
    cores = os.cpu_count() or 1
    threads = max(config.segmenter.threads for config in sweep.configurations)
    # Not done here: the number of threads changes sums in their last bits, the number of workers must not.
    if workers > 1 and workers * threads > cores:
        busy = f'{workers} workers of {threads} threads share {cores} cores'
        print(f'vss: {busy}; add --threads {max(cores // workers, 1)}', file=sys.stderr)


def _for_machines(evaluation: Evaluation, *, sweep: bool) -> dict[str, Any]:
    """Return what ``--json`` writes: one configuration, or the verdict over all of them."""
    configurations = evaluation.merged()
    if not sweep:
        return configurations[0]
    verdict = evaluation.measured['verdict']
    return {'verdict': verdict, 'configurations': configurations, 'refused': evaluation.refused}


def _status(evaluation: Evaluation) -> int:
    """Return 0, 1 where an input is not whole, 2 where nothing could be evaluated."""
    entries = [entry for result in evaluation.results for entry in result['inputs']]
    if all(entry['failed'] for entry in entries):
        return 2
    return int(any(entry['failed'] or entry['partial'] or entry['rejected'] for entry in entries))
