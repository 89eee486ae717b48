"""What command lines share: arguments declared one a line, text that may be printed, errors as exit codes."""

from __future__ import annotations

import argparse
import os
import re
import sys
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, Any, Final

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Callable

OWN_FAULT: Final = 3
"""Exit code after what should not have happened."""
TRACEBACK: Final = 'VSS_TRACEBACK'
"""Environment variable that shows where an own fault happened."""
PATHS = frozenset({'DIR', 'FILE', 'BAG', 'INPUT', 'RECIPE', 'SOURCE'})
"""Placeholders of values that are paths."""
_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]')


def printable(text: str) -> str:
    """Return a text whose control characters and bytes that are no UTF-8 are spelled out.

    Names of topics, classes and files may hold them, and a terminal obeys them.
    """
    return _CONTROL.sub(lambda found: found[0].encode('unicode_escape').decode(), text)


def new_parser(name: str, text: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help shows ``text``, a module's docstring, line by line."""
    layout = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(name, description=text, formatter_class=layout)


def add(parser: Any, names: str, text: str, default: Any = None, **more: Any) -> None:
    """Declare an argument.

    Args:
        parser: It, or a group of its arguments.
        names: With what stands for the value, in capitals: ``input INPUT``, ``-o --output DIR``. An option
            without that, default or anything else is a flag.
        text: What it is for; a default that says something is appended where the text does not speak of it.
        default: Its type is that of the value; without one the value is a path if its placeholder is among
            ``PATHS``, else a string.
        **more: Further arguments of ``add_argument``.
    """
    words = names.split()
    metavar = words.pop() if len(words) > 1 and not words[-1].startswith('-') else None
    if words[0].startswith('-') and metavar is None and default is None and not more:
        parser.add_argument(*words, action='store_true', help=text)
        return
    plain = isinstance(default, (str, int, float, Path))
    kind: Any = Path if metavar in PATHS else type(default) if plain else str
    if default and plain and 'default' not in text:
        text += f' (default: {default:g})' if kind is float else f' (default: {default})'
    arguments = {'type': kind, 'metavar': metavar, 'default': default, 'help': text}
    parser.add_argument(*words, **(arguments | more))


def run_program(name: str, run: Callable[[], int]) -> int:  # noqa: PLR0911 (a status each)
    """Run a program; an error becomes one line that begins with the program's name.

    Returns:
        Exit code: what ``run`` returns (0 for all, 1 for a part), 2 after an error of the user's concern, 3
        after a fault of the program, 130 after Ctrl-C. SIGTERM ends ``vss`` by 143, temporary files removed.
    """
    try:
        with redirect_stdout(_Printable(sys.stdout)), redirect_stderr(_Printable(sys.stderr, '\r')):
            status = run()
            sys.stdout.flush()
            return status
    except KeyboardInterrupt:
        return _fail(name, 'interrupted', 130)
    except BrokenPipeError:
        # The reader of the pipe, such as `head`, has seen enough; else Python complains once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (VssError, OSError) as error:  # no space, no permission: the system's own words say it best
        return _fail(name, str(error), 2)
    except Exception as error:
        # As Python 3.11.2 may hand on what a signal raised.
        if isinstance(error.__cause__, SystemExit):
            raise error.__cause__ from None
        if isinstance(error.__cause__, KeyboardInterrupt):
            return _fail(name, 'interrupted', 130)
        if os.environ.get(TRACEBACK):
            raise
        if isinstance(error, MemoryError) or 'allocate memory' in str(error):
            return _fail(name, 'expected more memory than is free; take a smaller --size, or end others', 2)
        where = next((f for f in reversed(extract_tb(error.__traceback__)) if 'vss_ros' in f.filename), None)
        place = '' if where is None else f' in {Path(where.filename).name}:{where.lineno}'
        text = next(iter(str(error).splitlines()), '')
        text = f'{type(error).__name__}{place}: {text}. This is a fault of {name}: please report it with the '
        return _fail(name, f'{text}command and its input; {TRACEBACK}=1 shows more', OWN_FAULT)


def _fail(name: str, text: str, status: int) -> int:
    with suppress(OSError):  # where it goes to a file on a full disk
        sys.stderr.write(printable(f'{name}: {text}') + '\n')
    return status


class _Printable:
    """A stream on which control characters are spelled out."""

    def __init__(self, stream: Any, kept: str = '\n') -> None:
        """``kept`` is a control character that passes: progress bars need one."""
        self._stream, self._kept = stream, kept

    def write(self, text: str) -> int:
        return int(self._stream.write(self._kept.join(map(printable, text.split(self._kept)))))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
