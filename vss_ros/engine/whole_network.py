"""The network's work, piece by piece, as a runtime computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import interpolate

from vss_ros.engine.device import CPU
from vss_ros.engine.preprocess import IMAGENET, network_size, normalise, scaled
from vss_ros.engine.propagation.base import Propagation, Space
from vss_ros.engine.runtimes.piece import Piece
from vss_ros.engine.runtimes.pytorch import TorchRuntime
from vss_ros.engine.schedulers.base import Scheduler

if TYPE_CHECKING:
    from torch import Tensor, nn

    from vss_ros.engine.backbones import Backbone
    from vss_ros.engine.motion import MotionEstimator
    from vss_ros.engine.motion.field import MotionField
    from vss_ros.engine.preprocess import Normalisation
    from vss_ros.engine.runtimes.base import Cut, Runtime
    from vss_ros.engine.view import View


class WholeNetwork:
    """The backbone, cut where the propagation and the scheduler need it, and what they compute beside it.

    What is cached of a key frame is F_h or, where the propagation moves logits, the logits. Where neither
    propagation nor scheduler looks at F_l, the backbone's low part runs on key frames only, together with its
    high part (GSVNet, section 3). Each method is one graph of the runtime, preprocessing included.

    Args:
        propagation: None where the whole network runs on every frame; it is one graph then.
        runtime: Who computes; None: PyTorch at f32.
        statistics: What pixels are normalised by.
    """

    def __init__(
        self,
        backbone: Backbone,
        propagation: Propagation | None,
        scheduler: Scheduler,
        motion: MotionEstimator | None = None,
        *,
        runtime: Runtime | None = None,
        statistics: Normalisation = IMAGENET,
    ) -> None:
        self._backbone, self._propagation, self._scheduler = backbone, propagation, scheduler
        self._motion, self._statistics = motion, statistics
        self._moves_logits = propagation is None or propagation.space is Space.SEGMENTATION
        self.needs_low = propagation is not None and (propagation.needs_low or scheduler.needs_low)
        # What is computed by a graph: a part that is not a network, or prepares nothing, is asked itself.
        own = propagation is not None and type(propagation).prepare is not Propagation.prepare
        self._prepares = own and not (propagation and propagation.prepares_pixels)
        self._compares = scheduler.needs_low
        self._make_pieces(runtime or TorchRuntime(CPU, 'f32', 1))

    def _make_pieces(self, runtime: Runtime) -> None:
        # A network from a file runs as its file has it, and a part without weights is not worth a graph.
        reference = TorchRuntime(runtime.device, 'f32', runtime.threads)
        of_backbone = runtime if self._backbone.has_features else reference
        of_scheduler = runtime if self._scheduler.needs_low else reference
        of_motion = runtime if self._motion is not None and _has_weights(self._motion) else reference

        def piece(of: Runtime, function: Any, *modules: nn.Module | None, cut: Cut | None = None) -> Piece:
            used = [module for module in modules if module is not None]
            strides = (
                self._propagation.image_strides if self._propagation in used and self._propagation else ()
            )
            return Piece(of, function, used, self._statistics, cut, strides)

        entry, cached = 'low' if self.needs_low else 'pixels', 'logits' if self._moves_logits else 'high'
        backbone, propagation, scheduler = self._backbone, self._propagation, self._scheduler
        low = backbone if self.needs_low else None
        self.compute = piece(of_backbone, self._compute, backbone, cut=(entry, cached))
        """What is cached of a key frame, of its ``entry``."""
        self._head = piece(of_backbone, backbone.head, backbone, cut=('high', 'logits'))
        self._look = piece(runtime, self._seen, low, propagation, scheduler)
        self._move = piece(runtime, self._propagated, propagation, backbone)
        self._measure = piece(of_scheduler, scheduler.measure, scheduler)
        self._estimate = piece(of_motion, self._moved, self._motion)

    def take_over(self, other: WholeNetwork) -> None:
        """Use the graphs of another, of the same weights and runtime, where it computes the same."""
        if other.needs_low == self.needs_low and other._moves_logits == self._moves_logits:
            self.compute = other.compute

    def look(self, view: View) -> tuple[View, Tensor, Tensor | None]:
        """Return the view with F_l, where it is needed, and what propagation and scheduler prepare of it."""
        assert self._propagation is not None  # else the whole network runs at once
        answers = iter(self._look(view) if self.needs_low or self._prepares else ())
        if self.needs_low:
            view = view.replace(low=next(answers))
        prepared = next(answers) if self._prepares else self._propagation.prepare(view)
        compared = next(answers) if self._compares else self._scheduler.prepare(view)
        return view, prepared, compared

    def entry(self, view: View) -> Tensor:
        """Return what ``compute`` starts from, valid as long as it is held: F_l, or the view's pixels."""
        return view.low if self.needs_low else torch.from_numpy(view.pixels).clone().to(view.device)

    @property
    def glances(self) -> bool:
        """Whether ``glance`` can answer: the network starts from pixels and takes images of any size."""
        return not self.needs_low and self._backbone.fixed_size is None

    def glance(self, view: View) -> Tensor:
        """Return roughly what ``compute`` would, in a quarter of the time: of the image at half its sides."""
        height, width = view.pixels.shape[1:3]
        half = network_size((height, width), (height // 2, width // 2), self._backbone.size_step)
        pixels = torch.from_numpy(scaled(view.pixels[0], half)[None]).to(view.device)
        stride = self._backbone.logits_stride if self._moves_logits else self._backbone.high_stride
        cached: Tensor = self.compute(pixels)
        return interpolate(cached, (height // stride, width // stride), mode='bilinear', align_corners=False)

    def logits(self, cached: Tensor) -> Tensor:
        """Return logits of cached or propagated features."""
        return cached if self._moves_logits else self._head(cached)

    def propagate(
        self, source: Tensor, source_high: Tensor, current: Tensor, view: View
    ) -> tuple[Tensor, Tensor]:
        """Return the current F_h (or logits) and the logits; arguments as :meth:`Propagation.propagate`."""
        answer = self._move(source, source_high, current, view)
        return (answer, answer) if self._moves_logits else answer

    def score(self, key: Tensor | None, current: Tensor | None, view: View) -> float:
        """Return the scheduler's score; see :class:`Scheduler`."""
        if type(self._scheduler).measure is Scheduler.measure:
            return self._scheduler.score(key, current, view)
        return float(self._measure(key, current, view))

    def estimate(self, previous: Tensor, current: Tensor, view: View) -> MotionField:
        """Return the motion; arguments as :meth:`MotionEstimator.estimate`."""
        field: MotionField = self._estimate(previous, current, view)
        return field

    def _seen(self, view: View) -> tuple[Tensor, ...]:
        if not self.needs_low:
            return self._prepared(view)
        low = self._backbone.low(view.image)
        return (low, *self._prepared(view.replace(low=low)))

    def _prepared(self, view: View) -> tuple[Tensor, ...]:
        prepared = [self._propagation.prepare(view)] if self._propagation and self._prepares else []
        compared = self._scheduler.prepare(view) if self._compares else None
        return (*prepared, *([] if compared is None else [compared]))

    def _compute(self, entry: Tensor) -> Tensor:
        low = entry if self.needs_low else self._backbone.low(normalise(entry, self._statistics))
        high = self._backbone.high(low)
        return self._backbone.head(high) if self._moves_logits else high

    def _propagated(
        self, source: Tensor, source_high: Tensor, current: Tensor, view: View
    ) -> Tensor | tuple[Tensor, Tensor]:
        assert self._propagation is not None
        high = self._propagation.propagate(source, source_high, current, view)
        return high if self._moves_logits else (high, self._backbone.head(high))

    def _moved(self, previous: Tensor, current: Tensor, view: View) -> MotionField:
        assert self._motion is not None
        return self._motion.estimate(previous, current, view)


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())
