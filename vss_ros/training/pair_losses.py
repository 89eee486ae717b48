"""What a propagation is trained for: the labels, the whole network's answer, and its own paper's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import kl_div, smooth_l1_loss

from vss_ros.engine.layers.blocks import resize_like
from vss_ros.engine.layers.distortion import correct
from vss_ros.engine.propagation.base import Space
from vss_ros.engine.propagation.distortion_aware import DistortionAware
from vss_ros.training.consistency_loss import consistency_loss
from vss_ros.training.distortion_losses import (
    FrameLosses,
    distortion_loss,
    distortion_target,
    dual_deep_supervision,
    frame_losses,
    pseudo_labels,
)
from vss_ros.training.losses import every_second, segmentation_loss

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.propagation import Propagation
    from vss_ros.engine.schedulers.predicted_deviation import PredictedDeviation
    from vss_ros.engine.view import View
    from vss_ros.training.pair_batch import PairBatch

DISTILLATION = 0.5
"""Weight of the whole network's soft labels beside the true ones."""
DIRECT = 0.75
"""Share of batches whose source is the key frame; in the others it is itself propagated (fast track)."""
DIRECT_FRAME_BY_FRAME = 0.3
"""Share of batches in which frame-by-frame propagation goes in one hop, as after a late slow-track result."""


class Hop(NamedTuple):
    """One propagation from a source to the current frame."""

    moves: Propagation
    source: View
    source_high: Tensor
    """What is moved: F_h or logits."""
    view: View
    batch: PairBatch


def propagation_loss(
    name: str, moves: Propagation, backbone: Backbone, batch: PairBatch, rng: np.random.Generator
) -> Tensor:
    """Return the loss of one propagation on one batch.

    Args:
        name: Its registered name, for its paper's own loss.
        moves: In training mode.
        backbone: Frozen; its head turns features into logits.
        batch: The frames.
        rng: Decides whether the source is the key frame or a frame propagated from it.

    """
    direct = DIRECT_FRAME_BY_FRAME if moves.frame_by_frame else DIRECT
    hop = _hop(moves, batch, direct=rng.random() < direct)
    answer, own_loss = OBJECTIVES.get(name, _plain)(hop)
    logits = answer if moves.space is Space.SEGMENTATION else backbone.head(answer)
    weights = logits.new_ones(logits.shape[1])
    loss = segmentation_loss(*every_second(logits, batch.labels), weights, batch.void)
    soft = batch.teacher.softmax(1)
    likeness = kl_div(resize_like(logits, soft).log_softmax(1), soft, reduction='none').sum(1).mean()
    return loss + DISTILLATION * likeness + own_loss


def deviation_loss(scheduler: PredictedDeviation, batch: PairBatch) -> Tensor:
    """Return the regression loss of the predicted deviation (low-latency paper, section 3.2).

    Of square roots, so that relative errors count: a deviation of 2 % taken for 4 % delays or wastes as much
    as 10 % taken for 20 %.
    """
    predicted = scheduler(batch.key.low, batch.current.low)
    return smooth_l1_loss(predicted.sqrt(), batch.deviation().sqrt(), beta=0.05)


def _hop(moves: Propagation, batch: PairBatch, *, direct: bool) -> Hop:
    """Choose the source, and the current view with the motion that leads there."""
    key, between, current = batch.key, batch.between, batch.current
    start = batch.key_logits if moves.space is Space.SEGMENTATION else batch.key_high
    if direct:
        if moves.motion:
            current = current.replace(motion=current.motion.compose(between.motion))
        return Hop(moves, key, start, current, batch)
    with torch.no_grad():
        return Hop(moves, between, moves(key, start, between), current, batch)


def _plain(hop: Hop) -> tuple[Tensor, Tensor]:
    """Propagate; the labels and the whole network's answer are all there is to learn from."""
    return hop.moves(hop.source, hop.source_high, hop.view), hop.source_high.new_zeros(())


def _consistent(hop: Hop) -> tuple[Tensor, Tensor]:
    """Add TWNet's consistency with the whole network's features (Eq. 8)."""
    answer = hop.moves(hop.source, hop.source_high, hop.view)
    return answer, consistency_loss(answer, hop.batch.high, hop.moves.shapes.lateral_channels)


def _distortion(hop: Hop) -> tuple[Tensor, Tensor]:
    """Add the distortion-aware paper's losses (Eqs. 3, 5 to 7) on F2 and F3, and DMNet's.

    F1 is the key frame, F2 the frame between and F3 the current one (section III.D, dual deep supervision).
    The paper trains DMNet first and keeps it fixed; here both learn side by side: M weighs the loss of the
    cues without learning from it, and its own loss looks at nothing the cues change.
    """
    batch = hop.batch
    labels = pseudo_labels(batch.between_logits, batch.labels.shape[-2:])
    to_middle = hop._replace(source=batch.key, source_high=batch.key_logits, view=batch.between)
    middle = _corrected(to_middle, labels, batch.between_logits)
    last = _corrected(hop, batch.labels, batch.teacher)
    of_distortion = (middle.distortion + last.distortion) / 2
    return last.answer, dual_deep_supervision(middle.losses, last.losses) + of_distortion


class _Corrected(NamedTuple):
    """One frame's corrected logits, and what they and the distortion map lack."""

    answer: Tensor
    losses: FrameLosses
    distortion: Tensor


def _corrected(hop: Hop, labels: Tensor, true: Tensor) -> _Corrected:
    """Correct one frame; ``true`` are the whole network's logits of it."""
    moves = hop.moves
    assert isinstance(moves, DistortionAware)
    current = moves.prepare(hop.view)
    parts = moves.corrections(moves.prepare(hop.source), hop.source_high, current, hop.view)
    # M learns from the motion's errors alone; Eq. 4 with its gradient would let it hide the cues' errors.
    answer = correct(parts.propagated, parts.cues, parts.distortion.detach())
    target = distortion_target(parts.propagated, resize_like(true, parts.propagated))
    return _Corrected(
        answer,
        frame_losses(parts, answer, labels, hop.batch.void),
        distortion_loss(parts.distortion, target),
    )


OBJECTIVES: dict[str, Callable[[Hop], tuple[Tensor, Tensor]]] = {
    'refined_warping': _consistent,
    'tamed_warping': _consistent,
    'distortion_aware': _distortion,
}
"""By propagation: its answer, and the loss its paper adds."""
