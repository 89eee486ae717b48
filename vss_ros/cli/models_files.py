"""``vss models export`` and ``quantise``: files made of a model's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse

    from vss_ros.engine.model_card import ModelCard


def export(args: argparse.Namespace) -> int:
    """Write a backbone as ONNX and as OpenVINO's IR; returns 0."""
    from vss_ros.engine.network_export import FORMATS, export_network
    from vss_ros.engine.option import parse_size, written_size
    from vss_ros.engine.preprocess import checked_size, network_size

    card, network = _backbone(args, 'vss models export lernet -o files')
    if not network.has_features:
        raise VssError(
            f'{card.name} is a network from a file: expected one of this package; {card.file} is it'
        )
    wanted = parse_size(args.size) if args.size else None
    size = checked_size(wanted, network.size_multiple, network.fixed_size)
    size = size or network_size(card.input_size, card.input_size, network.size_step)
    files = []
    for name in [args.format] if args.format else FORMATS:
        files += export_network(network, card, size, args.output, name, args.input)
    for file in files:
        print(file)
    layout = 'RGB (1, H, W, 3) uint8' if args.input == 'pixels' else 'normalised RGB (1, 3, H, W) float32'
    stride = network.logits_stride
    shape = (1, len(card.class_names), size[0] // stride, size[1] // stride)
    print(f'{written_size(size)}: {args.input}, {layout}, in; logits {shape} out')
    write_json(
        args.json, {'files': list(map(str, files)), 'size': size, 'input': args.input, 'logits': shape}
    )
    return 0


def quantise(args: argparse.Namespace) -> int:
    """Make a backbone's int8 weights; returns 1 where they would lose too much."""
    from vss_ros.cli.train import named_data
    from vss_ros.datasets.layouts import load_data
    from vss_ros.datasets.listing import DataOptions
    from vss_ros.evaluation.card_scores import prefix_of, scored_on
    from vss_ros.images.classes import load_classes
    from vss_ros.training.quantise import load_nncf, quantise

    load_nncf()
    card, network = _backbone(args, 'vss models quantise mine.yaml --data camvid=DIR')
    if len(args.data) != 1:
        raise VssError(f'expected one --data NAME=DIR to calibrate with, got {len(args.data)}; name one')
    name, folder = named_data(args.data[0])
    stated = card.recipe.get('data', {}).get(name, {'split': 'train'})
    options = DataOptions(**{key: value for key, value in stated.items() if key in DataOptions.model_fields})
    images = load_data(folder, options, load_classes(card.classes)).images
    prefix = prefix_of(card, name) or ''
    watched = scored_on(card, folder, prefix.removeprefix(name).removeprefix('_')) if prefix else None
    command = f'vss models quantise {card.name} --data {name}=DIR -n {args.stills}'
    made = {'command': command, 'data': {name: options.model_dump(mode='json', exclude_unset=True)}}
    card = quantise(card, network, images, args.stills, made, watched, prefix)
    for key, value in card.int8.get('scores', {}).items():
        print(f'{key}: {value}')
    write_json(args.json, card.int8)
    return 0 if card.int8 else 1


def _backbone(args: argparse.Namespace, example: str) -> tuple[ModelCard, Any]:
    from vss_ros.engine.build import build_module
    from vss_ros.engine.model_card import read_card

    if args.name is None:
        raise VssError(f'expected the name or path of a card, e.g.: {example}')
    card = read_card(args.name)
    card.expect('backbone')
    if card.file:
        raise VssError(f"{card.name} is {card.file}, a user's own network: expected one of this package")
    return card, build_module(card).eval().requires_grad_(False)
