"""List, show, verify, add, export and quantise models, and show the parts they are made of.

Examples:
  vss models                                  registered parts and the models that ship
  vss models show efficientnet_lite0_fpn      everything a card says, and what the parts cost
  vss models show tamed_warping --model mobilenet_fpn --size 512x1024 --device cuda
  vss models verify                           hash, shape and finiteness of all weights
  vss models verify --data camvid=DIR         and the scores of all cards, measured again
  vss models add mine.onnx --classes camvid11 --size 360x480 -o cards      a network of your own
  vss models export lernet -o files --size 512x1024     as ONNX and OpenVINO IR, for other software
  vss models quantise cards/mine.yaml --data camvid=DIR -n 90    makes its int8 weights
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json, write_whole

if TYPE_CHECKING:
    import argparse

    from vss_ros.engine.backbones.external import External
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.network_files import Network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = ('list', 'show', 'verify', 'add', 'export', 'quantise')
    add(parser, 'action', 'default: list', 'list', nargs='?', choices=actions)
    text = 'a card, for show; verify takes all without one; for add a .onnx or .pt2 file'
    add(parser, 'name', text, nargs='?')
    text = 'show: the backbone a propagation, scheduler or motion estimator is measured with'
    add_option(parser, 'model', f'{text} (default: %(default)s)')
    text = "network input (default: for show 352x480, the default's for 360x480 images; else the card's)"
    add(parser, '--size HxW', text)
    add_option(parser, 'device')
    add_option(parser, 'threads', 'show: CPU threads (default: 1)', default=1)
    text = 'verify: measure again the scores that cards state on this data set; quantise: calibrate with it'
    add(parser, '--data NAME=DIR', text, [], action='append')
    add_json_argument(parser)
    add(parser, '-o --output DIR', 'add, export: folder for what is written (default: here)', Path())
    group = parser.add_argument_group('export and quantise')
    add(group, '--format', 'one of them alone', choices=('onnx', 'openvino'))
    text = 'of the exported network: RGB bytes (1, H, W, 3), normalised inside (default: pixels), or floats'
    add(group, '--input', f'{text} (1, 3, H, W), normalised already', 'pixels', choices=('pixels', 'image'))
    add(group, '-n --stills N', 'training images that int8 is calibrated with', 90)
    group = parser.add_argument_group('add: a network of your own, image in, logits or labels out')
    add(group, '--name NAME', "name of the card (default: the file's)", dest='card_name')
    add(group, '--classes TABLE', 'camvid11, cityscapes19, uavid8 or a YAML file laid out like those')
    text = (
        "of the channels, in the network's order and in the unit of --range (default: ImageNet's, and for a"
    )
    add(group, '--mean X', f'{text} network of bytes none)', nargs=3, type=float)
    add(group, '--std X', 'likewise', nargs=3, type=float)
    add(group, '--range', 'values of white: 1 (default) or 255', 1, choices=(1, 255))
    add(group, '--channels', 'default: rgb', 'rgb', choices=('rgb', 'bgr'))
    add(group, '--answer OUTPUT', 'of several outputs (default: the likeliest by its shape)', '')
    add(group, '--overwrite', 'replace a card of this name')
    add_option(group, 'trust')


def run(args: argparse.Namespace) -> int:
    """Do as asked; returns 1 where a model does not verify."""
    from vss_ros.cli import models_files as files

    actions = {'list': _list, 'show': _show, 'verify': _verify, 'add': _add}
    actions |= {'export': files.export, 'quantise': files.quantise}
    return actions[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from vss_ros.cli.models_show import listing

    found = listing()
    for heading, rows in found.items():
        print(heading)
        for row in rows:
            print(f'  {row["name"]:<48}{row["summary"]}')
            for key, text in (('paper', row['paper']), ('with', row.get('combines_with', ''))):
                if text:
                    print(f'      {key + ":":<7}{text}')
    write_json(args.json, found)
    return 0


def _show(args: argparse.Namespace) -> int:
    import torch
    import yaml

    from vss_ros.cli.models_show import CLASSES, cost_table, costs, describe, is_from_file
    from vss_ros.engine.device import choose_device
    from vss_ros.engine.option import parse_size

    if args.name is None:
        raise VssError('expected the name of a part or card, e.g.: vss models show efficientnet_lite0_fpn')
    found = describe(args.name)
    size, device = parse_size(args.size or '352x480'), choose_device(args.device)
    if size is None:
        raise VssError('--size auto: expected HEIGHTxWIDTH, for there is no camera to follow')
    torch.set_num_threads(args.threads)
    print(yaml.safe_dump(found, sort_keys=False, width=110), end='')
    if is_from_file(args.name):
        print("\nA user's own network is not counted; its time is in the summary.json of: vss segment")
    elif found.get('kind') != 'track':
        rows = costs(args.name, args.model, size, device)
        print(f'\nat {size[0]}x{size[1]} on {device}, {args.threads} CPU threads, {CLASSES} classes:')
        print(cost_table(rows))
        found['costs'] = {'size': list(size), 'device': str(device), 'threads': args.threads}
        found['costs']['parts'] = [row._asdict() for row in rows]
    write_json(args.json, found)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from vss_ros.cli.train import named_data
    from vss_ros.engine.model_card import read_card, shipped_cards

    cards = [read_card(args.name)] if args.name else shipped_cards()
    folders = dict(named_data(text) for text in args.data)
    results = []
    for card in tqdm(cards, desc='verifying', unit='card', leave=False, disable=not folders):
        scores: dict[str, object] = {}
        try:
            faults = _faults(card, folders, scores)
        except VssError as error:
            faults = [str(error)]
        sound = 'ok, scores too' if scores else 'ok'
        sound = 'its hash is right; a program is not run' if card.file.endswith('.pt2') else sound
        tqdm.write(f'{card.name:<52}{"; ".join(faults) or sound}')
        results.append({'name': card.name, 'ok': not faults, 'fault': '; '.join(faults), 'scores': scores})
    write_json(args.json, results)
    return 1 if any(not result['ok'] for result in results) else 0


def _faults(card: ModelCard, folders: dict[str, Path], scores: dict[str, object]) -> list[str]:
    """Load a card's weights and, where its data is at hand, measure into ``scores``; return what is wrong."""
    from vss_ros.engine.build import build_module
    from vss_ros.engine.model_card import read_weights
    from vss_ros.engine.runtimes.openvino import read_quantised
    from vss_ros.evaluation import card_scores as own
    from vss_ros.evaluation.card_scores import differences

    if card.file.endswith('.pt2'):
        read_weights(card)  # a program is never run to look at it
        return []
    build_module(card)
    if card.int8:
        read_quantised(card)
    int8: dict[str, object] = {}
    sure: dict[str, object] = {}
    for name, folder in folders.items():
        prefix = own.prefix_of(card, name)
        if prefix is not None:
            split = prefix.removeprefix(name).removeprefix('_')
            video = own.scored_on(card, folder, split)
            scores.update(own.measure(card, video, prefix))
            int8.update(own.measure_int8(card, video, prefix))
            sure.update(own.measure_calibration(card, folder, split, prefix))
    faults = [*differences(card.scores, scores), *differences(card.int8.get('scores', {}), int8)]
    faults += differences({name: one.scores for name, one in card.calibration.items()}, sure)
    scores.update({name: found for name, found in (('int8', int8), ('calibration', sure)) if found})
    return faults


# ------------------------------------------------------------------ add


def _add(args: argparse.Namespace) -> int:
    """Check the network by running it once, then write the card and a copy of the file; returns 0.

    Raises:
        VssError: The file is not such a network, an option is missing or contradicts it, or a card of this
            name is there. Nothing is written then.
    """
    import torch

    from vss_ros.engine.backbones.external import External
    from vss_ros.engine.model_card import write_card
    from vss_ros.engine.network_files import open_network, trust
    from vss_ros.images.classes import load_classes

    if args.name is None or args.classes is None:
        raise VssError('expected a file and its classes, e.g.: vss models add mine.onnx --classes camvid11')
    source = Path(args.name)
    table = load_classes(args.classes)
    data = _read(source)
    if args.trust:
        trust(hashlib.sha256(data).hexdigest())
    opened = open_network(source.name, data, torch.device('cpu'))
    card = _card(args, source, data, table.names, opened)
    target = args.output / f'{card.name}.yaml'
    if target.exists() and not args.overwrite:
        raise VssError(f'{target} exists already; choose another --name or add --overwrite')
    network = External(len(card.class_names))
    network.attach(opened, card, torch.device('cpu'))
    several = len(network.outputs) > 1
    card = card.model_copy(update={'output': network.output if several else ''})
    copy = args.output / card.file
    if not (copy.exists() and copy.samefile(args.name)):
        write_whole(copy, data)
    elif data != copy.read_bytes():
        raise VssError(f'expected another folder than that of {copy}, which would be replaced; name it by -o')
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
    return joined(source)


def _card(
    args: argparse.Namespace, source: Path, data: bytes, names: tuple[str, ...], opened: Network
) -> ModelCard:
    from vss_ros.engine.model_card import ModelCard
    from vss_ros.engine.network_files import sides
    from vss_ros.engine.option import parse_size
    from vss_ros.schema import Document

    name = args.card_name or source.stem
    if not name or Path(name).name != name or name.startswith('.'):
        raise VssError(f'--name {name!r}: expected a plain file name without a folder')
    mean, std = _statistics(args, floats=opened.input_type.is_floating_point)
    size = (args.size and parse_size(args.size)) or sides(opened.input_shape)
    own_table = args.classes.endswith(('.yaml', '.yml'))
    values = {
        'name': name,
        'kind': 'backbone',
        'builder': 'external',
        'sha256': hashlib.sha256(data).hexdigest(),
        'parameters': opened.parameters,
        'file': f'{name}{source.suffix}',
        'input_size': size if len(size) == 2 and all(size) else (0, 0),
        'mean': mean,
        'std': std,
        'channel_order': args.channels,
        'output': args.answer,
        'classes': f'{name}.classes.yml' if own_table else args.classes,
        'class_names': names,
    }
    return Document(source, values, None).checked(ModelCard)


def _statistics(args: argparse.Namespace, *, floats: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of RGB in 0..1."""
    from vss_ros.engine.preprocess import BYTES, IMAGENET

    usual = IMAGENET if floats else BYTES
    if args.mean is None and args.std is None:
        return usual.mean, usual.std
    if not floats:
        raise VssError('expected no --mean and --std for a network whose input is bytes; leave them out')
    mean, std = args.mean or IMAGENET.mean, args.std or IMAGENET.std
    if any(not value > 0 for value in std):
        raise VssError(f'--std {std}: expected three positive numbers')
    mean, std = (tuple(value / args.range for value in values) for values in (mean, std))
    return (mean[::-1], std[::-1]) if args.channels == 'bgr' else (mean, std)  # the card has them of RGB


def _tell(card: ModelCard, network: External, target: Path) -> None:
    height, width = card.input_size
    sizes = 'no other size' if network.fixed_size else f'or another multiple of {network.size_multiple}'
    print(f'{target}: {card.file}, {len(card.class_names)} classes ({card.classes})')
    print(f'  input {height}x{width}, {sizes}; output one cell per {network.logits_stride} pixels')
    mean, std = (' '.join(f'{value:.4g}' for value in values) for values in (card.mean, card.std))
    choice = f' (of {", ".join(network.outputs)}; --answer takes another)' if card.output else ''
    print(f'  answers {network.kind.value}{f", output {card.output}" if choice else ""}{choice}')
    print(f'  channels {card.channel_order}, mean {mean}, std {std} of RGB in 0..1')
    print(f'use: vss segment VIDEO -o out --model {target} --propagation flow_warp --scheduler flow_residual')
