"""``vss models``: every part there is, where it was published, and what it combines with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers import Scheduler

TRACKS = (
    ('blocking', '', 'The frame waits for the whole network.'),
    ('fast_slow', 'Li et al. 2018', 'The fast track answers now, the slow track computes in the background.'),
)
EVERYTHING = 'every other part'


def listing() -> dict[str, list[dict[str, str]]]:
    """Return name, paper, summary and combinations of all parts and shipped models, by kind."""
    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.model_card import shipped_cards
    from vss_ros.engine.motion import MOTIONS
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.propagation.base import NO_PROPAGATION
    from vss_ros.engine.schedulers import SCHEDULERS

    def rows(registry: Any, combines: Any) -> list[dict[str, str]]:
        return [
            {'name': m.name, 'paper': m.paper, 'summary': m.summary, 'combines_with': combines(m.cls)}
            for m in registry
        ]

    whole = {
        'name': NO_PROPAGATION,
        'paper': '',
        'summary': 'The whole network runs on every frame.',
        'combines_with': EVERYTHING,
    }
    return {
        'backbones': rows(BACKBONES, _backbone_combines),
        'propagations': [*rows(PROPAGATIONS, _propagation_combines), whole],
        'schedulers': rows(SCHEDULERS, _scheduler_combines),
        'motion': rows(MOTIONS, lambda _: _names_with_motion()),
        'tracks': [
            {'name': name, 'paper': paper, 'summary': text, 'combines_with': EVERYTHING}
            for name, paper, text in TRACKS
        ],
        'models': [
            {'name': card.name, 'paper': _paper(card.kind, card.builder), 'summary': _score_line(card.scores)}
            for card in shipped_cards()
        ],
    }


def _backbone_combines(cls: type[Backbone]) -> str:
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.schedulers import SCHEDULERS

    if cls.has_features:
        return EVERYTHING
    moves = [m.name for m in PROPAGATIONS if not _refused(cls, m.cls, SCHEDULERS.get('fixed_interval'))]
    decides = [m.name for m in SCHEDULERS if not _refused(cls, PROPAGATIONS.get('reuse'), m.cls)]
    return f'propagations {", ".join(moves)}; schedulers {", ".join(decides)}'


def _propagation_combines(cls: type[Propagation]) -> str:
    from vss_ros.engine.schedulers import SCHEDULERS

    motion = '; any motion estimator' if cls.motion else ''
    return _backbones(lambda backbone: _refused(backbone, cls, SCHEDULERS.get('fixed_interval'))) + motion


def _scheduler_combines(cls: type[Scheduler]) -> str:
    from vss_ros.engine.propagation import PROPAGATIONS

    motion = '; any motion estimator' if cls.needs_motion else ''
    return _backbones(lambda backbone: _refused(backbone, PROPAGATIONS.get('reuse'), cls)) + motion


def _backbones(refused: Any) -> str:
    from vss_ros.engine.backbones import BACKBONES

    left_out = [member.name for member in BACKBONES if refused(member.cls)]
    return f'every backbone but {", ".join(left_out)}' if left_out else 'every backbone'


def _names_with_motion() -> str:
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.schedulers import SCHEDULERS

    names = [m.name for m in PROPAGATIONS if m.cls.motion] + [
        m.name for m in SCHEDULERS if m.cls.needs_motion
    ]
    return ', '.join(names)


def _refused(
    backbone: type[Backbone], propagation: type[Propagation] | None, scheduler: type[Scheduler]
) -> str | None:
    from vss_ros.engine.build import refusal

    return refusal(backbone, propagation, scheduler)


def _paper(kind: str, builder: str) -> str:
    from vss_ros.engine.backbones import BACKBONES
    from vss_ros.engine.motion import MOTIONS
    from vss_ros.engine.propagation import PROPAGATIONS
    from vss_ros.engine.schedulers import SCHEDULERS

    registries: dict[str, Any] = {
        'backbone': BACKBONES,
        'propagation': PROPAGATIONS,
        'scheduler': SCHEDULERS,
        'motion': MOTIONS,
    }
    return next((member.paper for member in registries[kind] if member.name == builder), '')


def _score_line(scores: dict[str, Any]) -> str:
    return ', '.join(f'{name} {value}' for name, value in scores.items() if not isinstance(value, dict))
