"""List, show and verify models and the parts they are made of.

Examples:
  vss models                                  registered parts and the models that ship
  vss models show efficientnet_lite0_fpn      everything a card says
  vss models verify                           hash, shape and finiteness of all weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.cli.output import add_json_argument, write_json
from vss_ros.errors import VssError

if TYPE_CHECKING:
    import argparse

TRACKS = (
    ('blocking', '', 'The frame waits for the whole network.'),
    ('fast_slow', 'Li et al. 2018', 'The fast track answers now, the slow track computes in the background.'),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        'action', nargs='?', choices=('list', 'show', 'verify'), default='list', help='default: list'
    )
    parser.add_argument('name', nargs='?', help='a card, for show; verify takes all without one')
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Do as asked; returns 1 where a model does not verify."""
    if args.action == 'show':
        return _show(args)
    if args.action == 'verify':
        return _verify(args)
    return _list(args)


def _list(args: argparse.Namespace) -> int:
    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.model_card import shipped_cards
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.propagation.base import NO_PROPAGATION
    from vss_ros.engine.schedulers import SCHEDULERS

    def members(registry: Any) -> list[dict[str, str]]:
        return [{'name': m.name, 'paper': m.paper, 'summary': m.summary} for m in registry]

    whole = {'name': NO_PROPAGATION, 'paper': '', 'summary': 'The whole network runs on every frame.'}
    listing: dict[str, list[dict[str, str]]] = {
        'backbones': members(BACKBONES),
        'propagations': [*members(PROPAGATIONS), whole],
        'schedulers': members(SCHEDULERS),
        'tracks': [{'name': name, 'paper': paper, 'summary': text} for name, paper, text in TRACKS],
        'models': [
            {'name': card.name, 'paper': _paper(card.kind, card.builder), 'summary': _score_line(card.scores)}
            for card in shipped_cards()
        ],
    }
    for heading, rows in listing.items():
        print(heading)
        for row in rows:
            print(f'  {row["name"]:<48}{row["summary"]}')
    write_json(args.json, listing)
    return 0


def _paper(kind: str, builder: str) -> str:
    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.schedulers import SCHEDULERS

    registries: dict[str, Any] = {'backbone': BACKBONES, 'propagation': PROPAGATIONS, 'scheduler': SCHEDULERS}
    return next((member.paper for member in registries[kind] if member.name == builder), '')


def _score_line(scores: dict[str, Any]) -> str:
    return ', '.join(f'{name} {value}' for name, value in scores.items() if not isinstance(value, dict))


def _show(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    import yaml

    from vss_ros.engine.model_card import read_card

    if args.name is None:
        msg = 'expected the name of a card, e.g.: vss models show efficientnet_lite0_fpn'
        raise VssError(msg)
    values = asdict(read_card(args.name))
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}
    print(yaml.safe_dump(plain, sort_keys=False, width=110), end='')
    write_json(args.json, plain)
    return 0


def _verify(args: argparse.Namespace) -> int:
    from vss_ros.engine.build import build_module
    from vss_ros.engine.model_card import read_card, shipped_cards

    cards = [read_card(args.name)] if args.name else shipped_cards()
    results = []
    for card in cards:
        try:
            build_module(card)
            fault = ''
        except VssError as error:
            fault = str(error)
        print(f'{card.name:<50}{fault or "ok"}')
        results.append({'name': card.name, 'ok': not fault, 'fault': fault})
    write_json(args.json, results)
    return 1 if any(not result['ok'] for result in results) else 0
