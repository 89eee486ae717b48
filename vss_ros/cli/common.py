"""What several verbs share: arguments of inputs and segmenters, and the option for JSON."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vss_ros.engine.options import OFFLINE, SETTINGS, SegmenterConfig
from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse


def add_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup, name: str, **changes: Any) -> None:
    """Declare an option of the segmenter.

    Args:
        parser: Or a group of its arguments.
        name: A field of ``SegmenterConfig``.
        **changes: Arguments of ``add_argument`` that differ from what the option says.
    """
    entry, default = SETTINGS[name], getattr(OFFLINE, name)
    shown = entry.unset or ('auto' if default is None else default)
    arguments: dict[str, Any] = {
        'type': entry.parse or type(default),
        'default': default,
        'choices': entry.choices or None,
        'metavar': entry.placeholder,
        'help': f'{entry.text} (default: {shown})',
    }
    parser.add_argument(f'--{name.replace("_", "-")}', **(arguments | changes))


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
        msg = f'--slow-delay {args.slow_delay}: expected 1 or more frames; to wait use --track blocking'
        raise VssError(msg)
    return SegmenterConfig(**{name: getattr(args, name) for name, entry in SETTINGS.items() if entry.offline})


def add_input_arguments(parser: argparse.ArgumentParser, *, masks: str = '', topics: bool = True) -> None:
    """Declare how an input is read, beside its path.

    Args:
        parser: The verb's.
        masks: What more there is to say of ``--masks``.
        topics: Whether a bag's image topic can be chosen.
    """
    parser.add_argument(
        '--masks',
        type=Path,
        metavar='DIR',
        help=f'true masks, grey PNG of class ids, of videos and images{masks}',
    )
    parser.add_argument('--fps', type=float, default=15.0, help='rate of image folders (default: 15)')
    if topics:
        parser.add_argument(
            '--image-topic', default='', metavar='TOPIC', help='where a bag has several image topics'
        )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``, the same for every verb."""
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='also write the result as JSON ("-": to stdout)'
    )
