"""Which parts fit together, in one place: asked before anything is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.engine.propagation.base import PROPAGATIONS, Space
from vss_ros.engine.schedulers.base import SCHEDULERS

if TYPE_CHECKING:
    from vss_ros.engine.backbones.base import Backbone
    from vss_ros.engine.propagation.base import Propagation
    from vss_ros.engine.registry import Registry
    from vss_ros.engine.schedulers.base import Scheduler


def refusal(
    backbone: type[Backbone] | Backbone, propagation: type[Propagation] | None, scheduler: type[Scheduler]
) -> str | None:
    """Return why these parts cannot work together, None where they can.

    A network without features (one from a user's file) has only its image and its logits to offer: nothing
    that looks at F_l or moves F_h fits it. Where the whole network runs on every frame, nobody asks the
    scheduler, so that any will do.

    Args:
        backbone: The class or the network itself.
        propagation: None where the whole network runs on every frame.
        scheduler: The class.

    """
    if propagation is None or backbone.has_features:
        return None
    if not _needs_no_features(propagation):
        fitting = [m.name for m in PROPAGATIONS if _needs_no_features(m.cls)]
        return (
            'this network has no features, so only propagation in segmentation space fits: '
            f'{", ".join(fitting)}; got {_name(PROPAGATIONS, propagation)}'
        )
    if scheduler.needs_low:
        fitting = [m.name for m in SCHEDULERS if not m.cls.needs_low]
        return (
            'this network has no features, so only schedulers that look at none fit: '
            f'{", ".join(fitting)}; got {_name(SCHEDULERS, scheduler)}'
        )
    return None


def _needs_no_features(propagation: type[Propagation]) -> bool:
    return propagation.space is Space.SEGMENTATION and not propagation.needs_low


def _name(registry: Registry[Any], cls: type) -> str:
    return next((member.name for member in registry if member.cls is cls), cls.__name__)
