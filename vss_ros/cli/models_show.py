"""``vss models show NAME``: what a card says, what a part is, and what it costs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vss_ros.errors import VssError

if TYPE_CHECKING:
    import torch

    from vss_ros.engine.pipeline import Parts
    from vss_ros.evaluation.replay.operations import PartCost

CLASSES = 11
"""Classes of a part that is shown without a card."""


def describe(name: str) -> dict[str, Any]:
    """Return kind, paper, summary and combinations of a registered part, and the card of that name.

    Raises:
        VssError: There is neither a part nor a card of that name.

    """
    from vss_ros.cli.models_list import listing
    from vss_ros.engine.model_card import has_card, read_card

    found: dict[str, Any] = {}
    for heading, rows in listing().items():
        for row in rows:
            if row['name'] == name and heading != 'models':
                found = {'kind': heading.removesuffix('s'), **row}
    if has_card(name):
        card = asdict(read_card(name))
        found['card'] = {
            key: list(value) if isinstance(value, tuple) else value for key, value in card.items()
        }
    if not found:
        msg = f'{name!r} is neither a part nor a model card; list them with: vss models'
        raise VssError(msg)
    return found


def is_from_file(name: str) -> bool:
    """Tell whether a part or card is a network from a user's file, whose operations nobody can count."""
    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.model_card import FromFile, has_card, read_card

    builder = read_card(name).builder if has_card(name) else name
    return builder in BACKBONES and issubclass(BACKBONES.get(builder), FromFile)


def costs(name: str, model: str, size: tuple[int, int], device: torch.device) -> list[PartCost]:
    """Return what the parts named by ``name`` cost with a backbone, and the sums per frame.

    Weights do not matter to costs, so none are loaded.

    Args:
        name: A registered part or a card; a backbone is measured itself, another part with ``model``.
        model: Backbone, or its card, that a propagation, scheduler or motion estimator works with.
        size: Height and width of the network's input.
        device: Where to measure.

    Raises:
        VssError: The parts do not fit, or the size does not suit the backbone.

    """
    from vss_ros.evaluation.replay.operations import frame_costs, part_costs

    parts = _parts(name, model, device)
    multiple = parts.backbone.size_multiple
    if any(side % multiple for side in size):
        msg = f'size {size[0]}x{size[1]}: expected multiples of {multiple}, as the backbone demands'
        raise VssError(msg)
    measured = part_costs(parts, size, device)
    return [*measured, *frame_costs(measured, parts).values()]


def _parts(name: str, model: str, device: torch.device) -> Parts:
    import torch

    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.build import refusal
    from vss_ros.engine.model_card import has_card, read_card
    from vss_ros.engine.motion import MOTIONS
    from vss_ros.engine.pipeline import Parts
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.schedulers import SCHEDULERS
    from vss_ros.engine.tracks import Blocking

    builder = read_card(name).builder if has_card(name) else name
    base = builder if builder in BACKBONES else read_card(model).builder if has_card(model) else model
    propagates = builder if builder in PROPAGATIONS else 'flow_warp' if builder in MOTIONS else ''
    decides = builder if builder in SCHEDULERS else 'fixed_interval'
    if builder in SCHEDULERS and not propagates:
        propagates = 'reuse'  # the cheapest there is beside a scheduler
    backbone_cls, scheduler_cls = BACKBONES.get(base), SCHEDULERS.get(decides)
    propagation_cls = PROPAGATIONS.get(propagates) if propagates else None
    fault = refusal(backbone_cls, propagation_cls, scheduler_cls)
    if fault:
        raise VssError(fault)
    backbone = backbone_cls(CLASSES)
    propagation = propagation_cls(Shapes.of(backbone, propagation_cls.space)) if propagation_cls else None
    scheduler = scheduler_cls(backbone.low_channels)
    motion = None
    if propagation is not None and (propagation.motion or scheduler.needs_motion):
        motion = MOTIONS.get(builder if builder in MOTIONS else propagation.motion or 'dis')()
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
