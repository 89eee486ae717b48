"""Losses of the distortion-aware paper (section III.B to III.D): DMNet's, and those of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch.nn.functional import binary_cross_entropy, cross_entropy, interpolate

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from vss_ros.engine.propagation.distortion_aware import Correction


class FrameLosses(NamedTuple):
    """The three losses of one frame, scalars."""

    propagation: Tensor
    """L_P, Eq. 5: of the warped features; trains the motion."""
    correction: Tensor
    """L_C, Eq. 6: of the corrected features."""
    guided: Tensor
    """L_DGFL, Eq. 3: of the correction cues, weighted by the distortion."""

    @property
    def total(self) -> Tensor:
        """Eq. 7: a third of each."""
        return (self.propagation + self.correction + self.guided) / 3


def frame_losses(parts: Correction, corrected: Tensor, labels: Tensor, void: int) -> FrameLosses:
    """Return the losses of one frame.

    Eqs. 3, 5 and 6 divide by all pixels, void ones too; here void pixels are left out of sum and count, so
    that an image with much of it does not count less. M weighs the cues' loss and learns nothing from it
    (section III.D: DMNet is kept fixed): it could lower that loss by seeing no distortion.

    Args:
        parts: f_P, f_CC and M, as logits; brought to the labels' size bilinearly.
        corrected: f_C of Eq. 4, as logits, likewise.
        labels: ``(N, H, W)`` int64 ids, on an intermediate frame ``pseudo_labels``.
        void: The ignored id.

    """
    size = labels.shape[-2:]
    distortion = _enlarge(parts.distortion, size).detach().squeeze(1)
    counted = (labels != void).sum().clamp_min(1)
    of_propagated, of_corrected, of_cues = (
        cross_entropy(_enlarge(logits, size), labels, ignore_index=void, reduction='none')
        for logits in (parts.propagated, corrected, parts.cues)
    )
    return FrameLosses(
        of_propagated.sum() / counted,
        of_corrected.sum() / counted,
        (distortion * of_cues).sum() / counted,
    )


def dual_deep_supervision(middle: FrameLosses, last: FrameLosses) -> Tensor:
    """Return the loss of a sample F1 -> F2 -> F3 (section III.D, Fig. 9): the mean over F2 and F3.

    The paper states Eq. 7 for one frame and not how frames add up; the mean keeps the loss's scale.

    Args:
        middle: Of F2, an unlabelled frame between, against ``pseudo_labels``.
        last: Of F3, the labelled frame, reached as the propagation reaches it: from F1 in one hop, or from
            F2 where that is what a fast track cached.

    """
    return (middle.total + last.total) / 2


def pseudo_labels(logits: Tensor, size: torch.Size) -> Tensor:
    """Return the image network's labels ``(N, H, W)`` int64 of a frame nobody labelled.

    Args:
        logits: What the whole network says of that frame, ``(N, C, h, w)``.
        size: H and W.

    """
    return _enlarge(logits, size).argmax(1)


def distortion_target(propagated: Tensor, true: Tensor) -> Tensor:
    """Return what M should be: 1 where the two label maps differ (section III.B, "XOR"), else 0.

    Args:
        propagated: Logits of f_P, ``(N, C, H, W)``.
        true: The whole network's logits of the same frame.

    Returns:
        ``(N, 1, H, W)`` float.

    """
    return (propagated.argmax(1, keepdim=True) != true.argmax(1, keepdim=True)).float()


def distortion_loss(distortion: Tensor, target: Tensor) -> Tensor:
    """Return DMNet's loss, binary cross entropy; the paper says "supervised" and not by what.

    Args:
        distortion: M ``(N, 1, H, W)`` in 0..1.
        target: ``distortion_target``, of the same shape.

    """
    return binary_cross_entropy(distortion, target)


def _enlarge(x: Tensor, size: torch.Size) -> Tensor:
    return x if x.shape[-2:] == size else interpolate(x, size=size, mode='bilinear', align_corners=False)
