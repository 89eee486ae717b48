"""The report of an evaluation, and what differs between two.

`vss evaluate -o DIR` writes DIR/report.html by itself: one file that opens without a network, with the
verdict, all configurations, plots and the worst frames; its plots lie as PNG in DIR/plots. `vss report DIR`
writes it again from the results in DIR, with a close look at the configurations you name.
`vss report compare A B` shows what is better or worse in B than in A, beyond what may be chance.
Exit status: 0; with --fail-below 1 where mIoU fell by more, or a configuration is missing; 2 after an error.

Examples:
  vss report out
  vss report out --look-at low_latency --look-at flow_only
  vss report compare before after -o difference.html
  vss report compare before after --fail-below 0.5
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.cli.common import add_json_argument
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json, write_text

if TYPE_CHECKING:
    import argparse

COMPARE = 'compare'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add(parser, 'folders DIR', 'results of `vss evaluate -o DIR`; or: compare A B', nargs='+', type=str)
    text = 'a configuration to look at closely, any number (default: those that the verdict takes)'
    add(parser, '--look-at NAME', text, [], action='append')
    add(parser, '-o --output FILE', 'of compare: also as a page')
    text = 'of compare: exit 1 where mIoU (in %%) fell by more than this'
    add(parser, '--fail-below POINTS', text, type=float)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Write a report, or compare; returns the exit status."""
    if args.folders[0] == COMPARE:
        return _compare(args)
    if args.output is not None or args.fail_below is not None:
        raise VssError('expected -o and --fail-below with `vss report compare A B` only; leave them out')
    return _report(args)


def _report(args: argparse.Namespace) -> int:
    from vss_ros.evaluation.report.findings import read_findings
    from vss_ros.evaluation.report.writing import for_machines, write_report

    if len(args.folders) != 1:
        raise VssError(f'expected one folder, got {len(args.folders)}; or: vss report compare A B')
    folder = Path(args.folders[0])
    page = write_report(folder, args.look_at)
    write_json(args.json, for_machines(read_findings(folder)))
    print(page, file=sys.stderr if str(args.json) == '-' else sys.stdout)
    return 0


def _compare(args: argparse.Namespace) -> int:
    from vss_ros.evaluation.report.comparison import compare, for_machines, page_of, text_of

    if len(args.folders) != 3 or args.look_at:
        raise VssError('expected: vss report compare A B, two folders of results and no --look-at')
    if args.fail_below is not None and not args.fail_below >= 0:
        raise VssError(f'expected --fail-below of 0 or more points of mIoU, got {args.fail_below}')
    before, after = args.folders[1:]
    comparison = compare(Path(before), Path(after))
    if args.output is not None:
        write_text(args.output, page_of(comparison, before, after))
    fallen = [] if args.fail_below is None else comparison.dropped_by(args.fail_below)
    write_json(args.json, for_machines(comparison) | {'fallen': fallen})
    print(text_of(comparison), file=sys.stderr if str(args.json) == '-' else sys.stdout)
    if fallen:
        limit = f'{args.fail_below:g} {comparison.score_name}'
        print(f'vss: lost more than {limit}, or missing: {", ".join(fallen)}', file=sys.stderr)
    return int(bool(fallen))
