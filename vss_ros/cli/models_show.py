"""``vss models list`` and ``show``: what parts and cards there are, what they say, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from vss_ros.engine.backbones import BACKBONES
from vss_ros.engine.build import REGISTRIES, motion_name, refusal
from vss_ros.engine.model_card import FromFile, has_card, read_card, shipped_cards
from vss_ros.engine.motion import MOTIONS
from vss_ros.engine.pipeline import Parts
from vss_ros.engine.propagation import PROPAGATIONS
from vss_ros.engine.propagation.base import NO_PROPAGATION, Shapes
from vss_ros.engine.schedulers import SCHEDULERS
from vss_ros.engine.tracks import Blocking
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.operations import frame_costs, part_costs

if TYPE_CHECKING:
    from vss_ros.evaluation.replay.operations import PartCost

CLASSES = 11
"""Classes of a part that is shown without a card."""
EVERYTHING = 'every other part'
WHOLE = 'The whole network runs on every frame.'
TRACKS = (
    ('blocking', '', 'The frame waits for the whole network.'),
    ('fast_slow', 'Li et al. 2018', 'The fast track answers now, the slow track computes in the background.'),
)
NO_FEATURES = PROPAGATIONS.get('reuse'), SCHEDULERS.get('fixed_interval')
"""A propagation and a scheduler that fit every backbone."""


def listing() -> dict[str, list[dict[str, str]]]:
    """Return name, paper, summary and combinations of all parts and shipped models, by kind."""

    def row(name: str, paper: str, summary: str, combines_with: str = EVERYTHING) -> dict[str, str]:
        return {'name': name, 'paper': paper, 'summary': summary, 'combines_with': combines_with}

    def rows(kind: str) -> list[dict[str, str]]:
        return [row(m.name, m.paper, m.summary, _combinations(kind, m.cls)) for m in REGISTRIES[kind]]

    papers = {(kind, m.name): m.paper for kind, registry in REGISTRIES.items() for m in registry}
    return {
        'backbones': rows('backbone'),
        'propagations': [*rows('propagation'), row(NO_PROPAGATION, '', WHOLE)],
        'schedulers': rows('scheduler'),
        'motion': rows('motion'),
        'tracks': [row(*track) for track in TRACKS],
        'models': [
            {
                'name': card.name,
                'paper': papers.get((card.kind, card.builder), ''),
                'summary': ', '.join(f'{k} {v}' for k, v in card.scores.items() if not isinstance(v, dict)),
            }
            for card in shipped_cards()
        ],
    }


def _combinations(kind: str, cls: Any) -> str:
    propagation, scheduler = NO_FEATURES
    if kind == 'motion':
        moving = [m.name for m in PROPAGATIONS if m.cls.motion]
        return ', '.join([*moving, *(m.name for m in SCHEDULERS if m.cls.needs_motion)])
    if kind == 'backbone':
        if cls.has_features:
            return EVERYTHING
        moves = [m.name for m in PROPAGATIONS if not refusal(cls, m.cls, scheduler)]
        decides = [m.name for m in SCHEDULERS if not refusal(cls, propagation, m.cls)]
        return f'propagations {", ".join(moves)}; schedulers {", ".join(decides)}'
    pair = (cls, scheduler) if kind == 'propagation' else (propagation, cls)
    moved = cls.motion if kind == 'propagation' else cls.needs_motion
    left_out = [m.name for m in BACKBONES if refusal(m.cls, *pair)]
    but = f' but {", ".join(left_out)}' if left_out else ''
    return f'every backbone{but}' + ('; any motion estimator' if moved else '')


def describe(name: str) -> dict[str, Any]:
    """Return kind, paper, summary and combinations of a registered part, and the card of that name.

    Raises:
        VssError: There is neither a part nor a card of that name.
    """
    found: dict[str, Any] = {}
    for heading, rows in listing().items():
        for row in rows:
            if row['name'] == name and heading != 'models':
                found = {'kind': heading.removesuffix('s'), **row}
    if has_card(name):
        found['card'] = read_card(name).model_dump(mode='json')
    if not found:
        raise VssError(f'{name!r} is neither a part nor a model card; list them with: vss models')
    return found


def is_from_file(name: str) -> bool:
    """Return whether a part or card is a network from a user's file, whose operations cannot be counted."""
    builder = read_card(name).builder if has_card(name) else name
    return builder in BACKBONES and issubclass(BACKBONES.get(builder), FromFile)


def costs(name: str, model: str, size: tuple[int, int], device: torch.device) -> list[PartCost]:
    """Return what the parts named by ``name`` cost with a backbone, and the sums per frame.

    Weights do not matter to costs, so none are loaded. ``name`` and ``model`` are registered parts or cards;
    a backbone is measured itself, another part with ``model``. The size is the network input's, height first.

    Raises:
        VssError: The parts do not fit, or the size does not suit the backbone.
    """
    parts = _parts(name, model, device)
    multiple = parts.backbone.size_multiple
    if any(side % multiple for side in size):
        raise VssError(f'size {size[0]}x{size[1]}: expected multiples of {multiple}, as the backbone demands')
    measured = part_costs(parts, size, device)
    return [*measured, *frame_costs(measured, parts).values()]


def _parts(name: str, model: str, device: torch.device) -> Parts:
    builder = read_card(name).builder if has_card(name) else name
    base = builder if builder in BACKBONES else read_card(model).builder if has_card(model) else model
    # Beside the part that is asked for, the cheapest others.
    propagates = builder if builder in PROPAGATIONS else 'flow_warp' if builder in MOTIONS else ''
    decides = builder if builder in SCHEDULERS else 'fixed_interval'
    if builder in SCHEDULERS:
        propagates = 'reuse'
    backbone_cls, scheduler_cls = BACKBONES.get(base), SCHEDULERS.get(decides)
    propagation_cls = PROPAGATIONS.get(propagates) if propagates else None
    if fault := refusal(backbone_cls, propagation_cls, scheduler_cls):
        raise VssError(fault)
    backbone = backbone_cls(CLASSES)
    propagation = propagation_cls(Shapes.of(backbone, propagation_cls.space)) if propagation_cls else None
    scheduler = scheduler_cls(backbone.low_channels)
    estimator = motion_name(builder if builder in MOTIONS else 'auto', propagation, scheduler)
    motion = MOTIONS.get(estimator)() if estimator else None
    for module in (backbone, propagation, scheduler, motion):
        if module is not None:
            module.eval().requires_grad_(False)
            module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Parts(backbone, propagation, scheduler, Blocking(), motion)


def cost_table(rows: list[PartCost]) -> str:
    """Return the rows as text: parameters in thousands, operations in 10^9, milliseconds."""
    lines = [f'{"part":<20}{"parameters":>12}{"GFLOPs":>10}{"ms":>10}']
    lines += [
        f'{row.part:<20}{row.parameters:>12,}{row.flops / 1e9:>10.3f}{row.milliseconds:>10.2f}'
        for row in rows
    ]
    return '\n'.join(lines)
