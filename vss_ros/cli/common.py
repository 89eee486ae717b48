"""What several verbs share: arguments of inputs and segmenters, and the option for JSON."""

from __future__ import annotations

import argparse
from math import isnan
from typing import Any

from vss_ros.command_line import add
from vss_ros.engine.options import OFFLINE, SETTINGS, SegmenterConfig
from vss_ros.errors import VssError


def add_option(
    parser: argparse.ArgumentParser | argparse._ArgumentGroup, name: str, text: str = '', **changes: Any
) -> None:
    """Declare an option of the segmenter by its field; text and ``changes`` replace what the option says."""
    entry, default = SETTINGS[name], getattr(OFFLINE, name)
    kind = entry.parse or type(default)

    def parse(value: str) -> Any:
        """Convert and check a value; NaN is that of an option that is left out."""
        parsed = kind(value)
        if entry.bounds and not isnan(parsed):
            lowest, highest = entry.bounds
            if not lowest <= parsed <= highest:
                raise argparse.ArgumentTypeError(f'expected {lowest:g} to {highest:g}, got {value}')
        return parsed

    parse.__name__ = kind.__name__
    text = text or f'{entry.text} (default: {entry.unset or ("auto" if default is None else default)})'
    if isinstance(default, bool):
        add(parser, f'--{name}', entry.text)
        return
    arguments = {'type': parse, 'default': default, 'choices': entry.choices or None}
    add(parser, f'--{name.replace("_", "-")} {entry.placeholder}', text, **(arguments | changes))


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what a segmenter is built from; names are those of the node's parameters."""
    group = parser.add_argument_group('segmenter')
    for name, entry in SETTINGS.items():
        if entry.offline:
            add_option(group, name)


def segmenter_config(args: argparse.Namespace) -> SegmenterConfig:
    """Return the configuration that the arguments ask for.

    Raises:
        VssError: A value makes no sense.
    """
    if args.slow_delay < 1:
        raise VssError(
            f'--slow-delay {args.slow_delay}: expected 1 or more frames; to wait use --track blocking'
        )
    return SegmenterConfig(**{name: getattr(args, name) for name, entry in SETTINGS.items() if entry.offline})


def add_input_arguments(parser: argparse.ArgumentParser, *, masks: str = '') -> None:
    """Declare how an input is read, beside its path; ``masks`` is what more to say of ``--masks``."""
    add(parser, '--masks DIR', f'true masks, grey PNG of class ids, of videos and images{masks}')
    add(parser, '--fps', 'rate of image folders', 15.0)
    add(parser, '--image-topic TOPIC', 'where a bag has several image topics', '')


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``, the same for every verb."""
    add(parser, '--json FILE', 'also write the result as JSON ("-": to stdout)')
