"""The command ``vss VERB``: finds the verb's module and turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final

from vss_ros import __version__
from vss_ros.command_line import printable
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS: Final = {
    'segment': ('vss_ros.cli.segment', 'segment a video, image folder or bag offline'),
    'evaluate': ('vss_ros.cli.evaluate', 'measure accuracy and latency on labelled frames'),
    'train': ('vss_ros.cli.train', 'train weights by a recipe'),
    'report': ('vss_ros.cli.report', 'show an evaluation as a page, compare two'),
    'models': ('vss_ros.cli.models', 'list, show and verify models and their parts'),
    'bag': ('vss_ros.cli.bag', 'make bags and look into them'),
}
"""Verb → module and one line of help.

A module has ``add_arguments(parser)`` and ``run(args) -> int``; its docstring is the help text. Only the verb
that is called gets imported, so that ``vss bag`` starts without PyTorch.
"""


OWN_FAULT: Final = 3
"""Exit status after what should not have happened."""
TRACEBACK: Final = 'VSS_TRACEBACK'
"""Environment variable that shows where an own fault happened."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of ``sys.argv``.

    Returns:
        Exit code: what the verb says (0 for all, 1 for a part), 2 after an error of the user's concern, 3
        after a fault of this program, 130 after Ctrl-C. SIGTERM ends it by 143, temporary files removed.
    """
    if arguments is None:  # a process of its own
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with redirect_stdout(_Printable(sys.stdout)):
            return _run(arguments)
    except VssError as error:
        print(f'vss: {printable(str(error))}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('vss: interrupted', file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the pipe, such as `head`, has seen enough; else Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no space, no permission: the system's own words say it best
        print(f'vss: {printable(str(error))}', file=sys.stderr)
        return 2
    except Exception as error:  # one sentence, whatever it is
        if os.environ.get(TRACEBACK):
            raise
        return _own_fault(error)


def _own_fault(error: Exception) -> int:
    """Say what should not have happened; returns the exit code."""
    if isinstance(error, MemoryError) or 'allocate memory' in str(error):
        print('vss: expected more memory than is free; take a smaller --size, or end others', file=sys.stderr)
        return 2
    where = next((f for f in reversed(extract_tb(error.__traceback__)) if 'vss_ros' in f.filename), None)
    place = '' if where is None else f' in {Path(where.filename).name}:{where.lineno}'
    text = next(iter(str(error).splitlines()), '')
    print(
        printable(
            f'vss: {type(error).__name__}{place}: {text}. This is a fault of vss: please report it with the '
            f'command and its input; {TRACEBACK}=1 shows more'
        ),
        file=sys.stderr,
    )
    return OWN_FAULT


class _Printable:
    """A stream on which control characters are spelled out."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return int(self._stream.write(printable(text)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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
    return int(module.run(args))


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
