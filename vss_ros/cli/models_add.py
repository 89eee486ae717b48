"""``vss models add``: a model card for a network of the user's own, without a line of code."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json, write_whole

if TYPE_CHECKING:
    import argparse

    from vss_ros.engine.backbones.external import External
    from vss_ros.engine.model_card import ModelCard

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what only ``add`` looks at; FILE and ``--size`` are shared with the other actions."""
    group = parser.add_argument_group('add: a network of your own, image in, logits or labels out')
    add(group, '--name NAME', "name of the card (default: the file's)", dest='card_name')
    add(group, '--classes TABLE', 'camvid11, cityscapes19, uavid8 or a YAML file laid out like those')
    text = "of the channels, in the network's order and in the unit of --range (default: ImageNet's)"
    add(group, '--mean X', text, IMAGENET_MEAN, nargs=3, type=float)
    add(group, '--std X', 'likewise', IMAGENET_STD, nargs=3, type=float)
    add(group, '--range', 'values of white: 1 (default) or 255', 1, choices=(1, 255))
    add(group, '--channels', 'default: rgb', 'rgb', choices=('rgb', 'bgr'))
    add(group, '-o --output DIR', 'folder for card and copy (default: here)', Path())
    add(group, '--overwrite', 'replace a card of this name')


def run(args: argparse.Namespace) -> int:
    """Check the network by running it once, then write the card and a copy of the file; returns 0.

    Raises:
        VssError: The file is not such a network, an option is missing or contradicts it, or a card of this
            name is there. Nothing is written then.
    """
    from vss_ros.engine.model_card import write_card
    from vss_ros.images.classes import load_classes

    if args.name is None or args.classes is None:
        raise VssError('expected a file and its classes, e.g.: vss models add mine.onnx --classes camvid11')
    source = Path(args.name)
    table = load_classes(args.classes)
    data = _read(source)
    card = _card(args, source, data, table.names)
    target = args.output / f'{card.name}.yaml'
    if target.exists() and not args.overwrite:
        raise VssError(f'{target} exists already; choose another --name or add --overwrite')
    card, network = _checked(card, data)
    write_whole(args.output / card.file, data)
    if card.classes != args.classes:
        write_whole(args.output / card.classes, Path(args.classes).read_bytes())
    write_card(card, args.output)  # last, for without it the others are nothing
    _tell(card, network, target)
    written = {'card': str(target), 'sha256': card.sha256, 'input_size': card.input_size}
    write_json(args.json, written | {'stride': network.logits_stride})
    return 0


def _read(source: Path) -> bytes:
    from vss_ros.engine.network_files import joined

    if not source.is_file():
        raise VssError(f'{source}: expected a network in a file (.onnx or .pt2), found none; give its path')
    if source.suffix == '.pt2':
        warning = 'a .pt2 is a program and is run as one; add only files from those you trust'
        print(f'note: {warning}', file=sys.stderr)
    return joined(source)


def _card(args: argparse.Namespace, source: Path, data: bytes, names: tuple[str, ...]) -> ModelCard:
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.options import parse_size

    name = args.card_name or source.stem
    if not name or Path(name).name != name or name.startswith('.'):
        raise VssError(f'--name {name!r}: expected a plain file name without a folder')
    if any(not value > 0 for value in args.std):
        raise VssError(f'--std {args.std}: expected three positive numbers')
    mean, std = ([value / args.range for value in values] for values in (args.mean, args.std))
    if args.channels == 'bgr':  # the card has them of RGB
        mean, std = mean[::-1], std[::-1]
    own_table = args.classes.endswith(('.yaml', '.yml'))
    return ModelCard(
        name=name,
        kind='backbone',
        builder='external',
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=0,
        file=f'{name}{source.suffix}',
        input_size=(args.size and parse_size(args.size)) or (0, 0),
        mean=tuple(mean),
        std=tuple(std),
        channel_order=args.channels,
        classes=f'{name}.classes.yml' if own_table else args.classes,
        class_names=names,
    )


def _checked(card: ModelCard, data: bytes) -> tuple[ModelCard, External]:
    """Run the network once; return the card with what only the network knows."""
    import torch

    from vss_ros.engine.backbones.external import External
    from vss_ros.engine.network_files import open_network

    opened = open_network(card.file, data, torch.device('cpu'))
    height, width = opened.input_shape[2:] if len(opened.input_shape) == 4 else (None, None)
    if card.input_size == (0, 0) and height and width:
        card = card.model_copy(update={'input_size': (height, width)})
    network = External(len(card.class_names))
    network.attach(opened, card, torch.device('cpu'))
    return card.model_copy(update={'parameters': opened.parameters}), network


def _tell(card: ModelCard, network: External, target: Path) -> None:
    height, width = card.input_size
    sizes = 'no other size' if network.fixed_size else f'or another multiple of {network.size_multiple}'
    print(f'{target}: {card.file}, {len(card.class_names)} classes ({card.classes})')
    print(f'  input {height}x{width}, {sizes}; output one cell per {network.logits_stride} pixels')
    mean, std = (' '.join(f'{value:.4g}' for value in values) for values in (card.mean, card.std))
    print(f'  channels {card.channel_order}, mean {mean}, std {std} of RGB in 0..1')
    print(f'use: vss segment VIDEO -o out --model {target} --propagation flow_warp --scheduler flow_residual')
