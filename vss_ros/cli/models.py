"""List, show, verify and add models, and show the parts they are made of.

Examples:
  vss models                                  registered parts and the models that ship
  vss models show efficientnet_lite0_fpn      everything a card says, and what the parts cost
  vss models show tamed_warping --model mobilenet_fpn --size 512x1024 --device cuda
  vss models verify                           hash, shape and finiteness of all weights
  vss models verify --data camvid=DIR         and the scores of all cards, measured again
  vss models add mine.onnx --classes camvid11 --size 360x480 -o cards      a network of your own
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.cli import models_add
from vss_ros.cli.common import add_json_argument, add_option
from vss_ros.command_line import add
from vss_ros.errors import VssError
from vss_ros.files import write_json

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from vss_ros.engine.model_card import ModelCard


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = ('list', 'show', 'verify', 'add')
    add(parser, 'action', 'default: list', 'list', nargs='?', choices=actions)
    text = 'a card, for show; verify takes all without one; for add a .onnx or .pt2 file'
    add(parser, 'name', text, nargs='?')
    text = 'show: the backbone a propagation, scheduler or motion estimator is measured with'
    add_option(parser, 'model', f'{text} (default: %(default)s)')
    text = "network input (default: for show 352x480, the default's for 360x480 images; for add its own)"
    add(parser, '--size HxW', text)
    add_option(parser, 'device')
    add_option(parser, 'threads', 'show: CPU threads (default: 1)', default=1)
    text = 'verify: measure again the scores that cards state on this data set'
    add(parser, '--data NAME=DIR', text, [], action='append')
    add_json_argument(parser)
    models_add.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Do as asked; returns 1 where a model does not verify."""
    actions = {'list': _list, 'show': _show, 'verify': _verify, 'add': models_add.run}
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
    from vss_ros.engine.options import parse_size

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
        tqdm.write(f'{card.name:<52}{"; ".join(faults) or ("ok, scores too" if scores else "ok")}')
        results.append({'name': card.name, 'ok': not faults, 'fault': '; '.join(faults), 'scores': scores})
    write_json(args.json, results)
    return 1 if any(not result['ok'] for result in results) else 0


def _faults(card: ModelCard, folders: dict[str, Path], scores: dict[str, object]) -> list[str]:
    """Load a card's weights and, where its data is at hand, measure into ``scores``; return what is wrong."""
    from vss_ros.engine.build import build_module
    from vss_ros.evaluation.card_scores import differences, measure, prefix_of, scored_on

    build_module(card)
    for name, folder in folders.items():
        prefix = prefix_of(card, name)
        if prefix is not None:
            video = scored_on(card, folder, prefix.removeprefix(name).removeprefix('_'))
            scores.update(measure(card, video, prefix))
    return list(differences(card.scores, scores))
