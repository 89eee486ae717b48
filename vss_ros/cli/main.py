"""The command ``vss VERB``: finds the verb's module and runs it."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from vss_ros import __version__
from vss_ros.command_line import run_program
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS: Final = {
    'segment': ('vss_ros.cli.segment', 'segment a video, image folder or bag offline'),
    'evaluate': ('vss_ros.cli.evaluate', 'measure accuracy and latency on labelled frames'),
    'benchmark': ('vss_ros.cli.benchmark', 'measure every runtime, propagation and track on this machine'),
    'tune': ('vss_ros.cli.tune', 'find the most accurate parameters within a budget of latency'),
    'pick': ('vss_ros.cli.pick', 'choose the frames that are worth labelling'),
    'train': ('vss_ros.cli.train', 'train weights by a recipe'),
    'report': ('vss_ros.cli.report', 'show an evaluation as a page, compare two'),
    'models': ('vss_ros.cli.models', 'list, show and verify models and their parts'),
    'bag': ('vss_ros.cli.bag', 'make bags and look into them'),
    'monitor': ('vss_ros.cli.monitor', 'show rate, latency and drops of running nodes'),
}
"""Verb → module and one line of help.

A module has ``add_arguments(parser)`` and ``run(args) -> int``; its docstring is the help text. Only the verb
that is called gets imported, so that ``vss bag`` starts without PyTorch.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of ``sys.argv``; returns the exit code (see ``run_program``)."""
    if arguments is None:  # a process of its own
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        sys.unraisablehook = _stop_later
    words = list(sys.argv[1:] if arguments is None else arguments)
    return run_program('vss', lambda: _run(words))


def _run(arguments: list[str]) -> int:
    """Parse with only the called verb's module loaded, and run it."""
    parser = argparse.ArgumentParser(
        prog='vss',
        description='Low-latency semantic segmentation of camera streams.',
        epilog='example: vss bag make drive.mp4 -o drive_bag        help on a verb: vss bag --help',
    )
    parser.add_argument('--version', action='version', version=f'vss {__version__}')
    verbs = parser.add_subparsers(dest='verb', metavar='VERB', required=True)
    called = next((argument for argument in arguments if not argument.startswith('-')), None)
    module: Any = None
    for verb, (path, line) in VERBS.items():
        if verb == called:
            module = _load(verb, path)
            layout = argparse.RawDescriptionHelpFormatter
            module.add_arguments(
                verbs.add_parser(verb, help=line, description=module.__doc__, formatter_class=layout)
            )
        else:
            verbs.add_parser(verb, help=line)
    args = parser.parse_args(arguments)
    _spare_inputs(args)
    return int(module.run(args))


def _stop_later(dropped: Any) -> None:
    """Send a signal once more that came in a destructor, where Python drops what its handler raises."""
    numbers = {KeyboardInterrupt: signal.SIGINT, SystemExit: signal.SIGTERM}
    if dropped.exc_type in numbers:
        threading.Timer(0.05, os.kill, (os.getpid(), numbers[dropped.exc_type])).start()
    else:
        sys.__unraisablehook__(dropped)


def _spare_inputs(args: argparse.Namespace) -> None:
    """Refuse to write ``--json`` over something that is read."""
    target = getattr(args, 'json', None)
    if target is None or not target.is_file():
        return
    for name, value in vars(args).items():
        for path in value if isinstance(value, list) else [value]:
            is_path = isinstance(path, Path | str) and name != 'json' and Path(path).exists()
            if is_path and target.samefile(path):
                raise VssError(f'expected another file for --json than the input {path}; name one')


def _load(verb: str, path: str) -> Any:
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name == path:
            message = f'expected the verb {verb!r}, which version {__version__} lacks; update vss_ros'
        else:
            message = f'expected the Python package {error.name!r} for `vss {verb}`, got none; install it'
        raise VssError(message) from error


if __name__ == '__main__':
    sys.exit(main())
