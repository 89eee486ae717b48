"""A key frame where the low features have changed much, as Clockwork's adaptive clock has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.schedulers.base import SCHEDULERS, Scheduler

if TYPE_CHECKING:
    from torch import Tensor

    from vss_ros.engine.view import View


@SCHEDULERS.register('feature_threshold', paper='Shelhamer et al. 2016, Clockwork Convnets')
class FeatureThreshold(Scheduler):
    """Compares the mean absolute change of F_l, relative to its mean magnitude, with a threshold.

    Needs no training, so it serves any backbone; the change of features also counts what changes no label,
    light for instance, which is why a trained predictor does better (low-latency paper, section 5, Figure 5).
    """

    needs_low = True
    # On the default backbone neighbouring frames of a driving video differ by 0.73, frames 5 apart by 1.09.
    default_threshold = 1.0

    def prepare(self, view: View) -> Tensor:
        """Return F_l itself."""
        return view.low

    def measure(self, key: Tensor | None, current: Tensor | None, view: View) -> Tensor:  # noqa: ARG002
        """Return the relative change, 0 for equal features."""
        assert key is not None and current is not None  # noqa: PT018 (prepare() never returns None here)
        return (current - key).abs().mean() / key.abs().mean().clamp_min(1e-6)
