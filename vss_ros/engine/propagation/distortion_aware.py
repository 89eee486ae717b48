"""Distortion-aware feature correction: what the motion got wrong is taken from the current image.

In order: the propagation, its two networks (DMNet and CFNet), the losses it is trained with.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy, cross_entropy, normalize

from vss_ros.engine.layers.blocks import conv_bn, resize_like, separable_conv, zeroed
from vss_ros.engine.propagation.base import PROPAGATIONS, Switch
from vss_ros.engine.propagation.flow_warp import FlowWarp

if TYPE_CHECKING:
    from vss_ros.engine.pair_batch import Hop
    from vss_ros.engine.propagation.base import Shapes
    from vss_ros.engine.view import View

NARROWEST = 8
"""Channels of CFNet's first convolution beside the narrowest networks."""
EXTRACTOR = (4, 8, 16, 16)
"""Channels of DMNet's four separable convolutions."""
PAPER_WIDTH = 32
"""Channels of CFNet's first convolution beside the paper's DeepLabv3+."""
ENCODER = ((1, 2), (2, 2), (4, 2), (4, 1), (8, 2), (8, 1), (8, 2), (8, 1), (16, 2), (16, 1))
"""Width in units of the first convolution's, and stride, of CFNet's ten convolutions."""
DECODER = (8, 4, 2, 1)
"""Width in the same units of CFNet's four deconvolutions."""
SLOPE = 0.1
"""Leaky ReLU below zero."""


class Correction(NamedTuple):
    """The three maps that one frame's answer is blended from."""

    propagated: Tensor
    """f_P ``(N, C, H, W)``."""
    cues: Tensor
    """f_CC, of the same shape."""
    distortion: Tensor
    """M ``(N, 1, H, W)`` in 0..1."""


@PROPAGATIONS.register('distortion_aware', paper='Zhuang et al. 2021, Distortion-Aware Feature Correction')
class DistortionAware(FlowWarp):
    """Key frame's logits warped, and corrected where the image warped alike does not match.

    Section III: f_P is warped along the motion, and so is the source image; DMNet compares the warped
    image with the current one (Eqs. 1, 2), CFNet extracts correction cues from the current one, and M
    blends the two (Eq. 4). Only images are looked at, so no frame between key frames computes F_l.

    Decided here:

    - The paper says "features" and not which. Its Table II leaves CFNet room for as many channels as there
      are classes and no more (123.7 GFLOPs with 19, 129.8 with 256; stated are 123.775), and the authors'
      published code moves DeepLabv3+'s logits at stride 4. So logits are what moves, as in ``FlowWarp``,
      and any network can be corrected, one without features too.
    - The source is the key frame, reached in one hop along the composed motion, image and logits alike: M
      says what all motion since got wrong. The text propagates the previous frame's (section III.A) and the
      authors' published code passes f_P and the warped image on, uncorrected, which is the same hop but for
      interpolating at every frame. Passing the corrected f_C on drifts: 49.1 mIoU at distance 9, where the
      same weights score 63.5 in one hop (default backbone, CamVid val).
    - DMNet sees the image averaged to the logits' stride. CFNet ends at a quarter of its input's sides,
      and sees an image of four times the logits' sides: the whole one at stride 4, half of it at stride 8.
    - CFNet's widths are the paper's 32 to 512 beside F_h of 256 channels or more (the paper's
      DeepLabv3+), and in proportion to F_h beside narrower ones, down to a quarter, so that correction
      stays cheap beside every network.
    - CFNet's last convolution starts at zero, where Eq. 4 scales f_P and changes no label: an untrained
      module answers as ``flow_warp`` does.
    """

    frame_by_frame = False
    motion = 'dis'
    switches: ClassVar = {'distortion map: M = 0': Switch('distortion', (0.0,))}

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        finer = self.stride // 4
        self.image_strides = (self.stride, finer) if finer > 1 else (self.stride,)
        self.distortion = DMNet()
        width = min(max(shapes.feature_channels // 8, NARROWEST), PAPER_WIDTH)
        self.cues = CFNet(shapes.high_channels, width)

    def prepare(self, view: View) -> Tensor:
        """Return the image at the stride of the logits, ``(N, 3, H/stride, W/stride)``."""
        return view.small(self.stride)

    def corrections(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Correction:
        """Return f_P, f_CC and M, each trained by its own loss (Eqs. 3, 5, 6); arguments as ``propagate``."""
        propagated = super().propagate(source, source_high, current, view)
        warped = view.motion.at(self.stride).warp(source)
        height, width = current.shape[-2:]
        finer = self.stride // 4
        image = view.small(finer) if finer > 1 else view.image
        cues = self.cues(image[..., : 4 * height, : 4 * width])
        return Correction(propagated, cues, self.distortion(warped, current))

    def propagate(self, source: Tensor, source_high: Tensor, current: Tensor, view: View) -> Tensor:
        """Return the corrected logits ``(N, C, H/stride, W/stride)``."""
        return correct(*self.corrections(source, source_high, current, view))

    def training_loss(self, hop: Hop) -> tuple[Tensor, Tensor]:
        """Return f_C and the paper's losses (Eqs. 3, 5 to 7) on F2 and F3 plus DMNet's own.

        F1 is the key frame, F2 the frame between and F3 the current one (section III.D, dual deep
        supervision). The paper trains DMNet first and keeps it fixed; here both learn side by side: M weighs
        the loss of the cues without learning from it, and its own loss looks at nothing the cues change.
        """
        batch = hop.batch
        to_middle = hop._replace(source=batch.key, source_high=batch.key_logits, view=batch.between)
        labels = pseudo_labels(batch.between_logits, batch.labels)
        _, middle, of_middle = self._frame_losses(to_middle, labels, batch.between_logits)
        answer, last, of_last = self._frame_losses(hop, batch.labels, batch.teacher)
        return answer, dual_deep_supervision(middle, last) + (of_middle + of_last) / 2

    def _frame_losses(self, hop: Hop, labels: Tensor, true: Tensor) -> tuple[Tensor, FrameLosses, Tensor]:
        """Return f_C of one frame, its losses and DMNet's; ``true`` are the whole network's logits of it."""
        current = self.prepare(hop.view)
        parts = self.corrections(self.prepare(hop.source), hop.source_high, current, hop.view)
        # M learns from the motion's errors alone; Eq. 4 with its gradient would let it hide the cues' errors.
        answer = correct(parts.propagated, parts.cues, parts.distortion.detach())
        target = distortion_target(parts.propagated, resize_like(true, parts.propagated))
        losses = frame_losses(parts, answer, labels, hop.batch.void)
        return answer, losses, distortion_loss(parts.distortion, target)


class SiameseExtractor(nn.Module):
    """Separable convolutions with batch norm and ReLU between them, the same weights for both images.

    The last has no ReLU: features without negative values could not be less similar than 0, and cosine
    similarity would use half its range.
    """

    def __init__(self, in_channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        blocks = [separable_conv(before, after) for before, after in pairwise((in_channels, *widths))]
        self.layers = nn.Sequential(*blocks[:-1], blocks[-1][:-1])

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of two ``(N, in, H, W)``, each ``(N, widths[-1], H, W)``; one pass for both."""
        both: Tensor = self.layers(torch.cat((first, second)))
        one, other = both.chunk(2)
        return one, other


class DMNet(nn.Module):
    """Distortion map network (section III.B): M = (1 - S) / 2, S the similarity of two images (Eqs. 1, 2).

    The paper states neither widths nor resolution. Its 0.4 GFLOPs at 1024 x 2048 (Table II) are what the
    widths of the authors' published code, 4, 8 and 16, make at a quarter of the image's sides, where the
    propagated values lie too. That code's fourth layer is a plain 1x1 convolution (0.38 GFLOPs by Table
    I); the text's four separable ones are built, 0.46 GFLOPs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.extractor = SiameseExtractor(3, EXTRACTOR)

    def forward(self, warped: Tensor, image: Tensor) -> Tensor:
        """Return M ``(N, 1, H, W)``, 0 as it should be to 1 distorted, of two images ``(N, 3, H, W)``."""
        one, other = self.extractor(warped, image)
        similarity = (normalize(one) * normalize(other)).sum(1, keepdim=True)  # cosine, as compilers know it
        return ((1 - similarity) / 2).clamp(0, 1)  # rounding takes the cosine of equal features beyond 1


class CFNet(nn.Module):
    """Correction feature network (section III.C): what propagation cannot know, from the image alone.

    Ten 3x3 convolutions with batch norm and leaky ReLU down to stride 64, four 4x4 deconvolutions with
    leaky ReLU up to stride 4, each joined with the encoder's features of its stride, and a 1x1 convolution.
    The paper states no widths; 32 to 512, those of the authors' published code, are what Table II counts:
    by Table I, which takes a deconvolution for a convolution of its output's size, 123.7 of the stated
    123.775 GFLOPs at 1024 x 2048 (121.2 as built here, where deconvolutions are padded instead of cropped;
    63 of them are really computed). The first convolution has ``width`` channels, the others multiples of
    it; the last starts at zero.
    """

    def __init__(self, out_channels: int, width: int = PAPER_WIDTH) -> None:
        super().__init__()
        before = 3
        self.encoder = nn.ModuleList()
        skips = []
        for factor, stride in ENCODER:
            layer = nn.Sequential(*conv_bn(before, factor * width, 3, stride), nn.LeakyReLU(SLOPE, True))
            self.encoder.append(layer)
            before = factor * width
            skips.append(before)
        self.decoder = nn.ModuleList()
        # The last layers of strides 32, 16, 8 and 4.
        for factor, skip in zip(DECODER, skips[7::-2], strict=True):
            deconvolution = nn.ConvTranspose2d(before, factor * width, 4, 2, 1, bias=False)
            self.decoder.append(nn.Sequential(deconvolution, nn.LeakyReLU(SLOPE, True)))
            before = factor * width + skip
        self.predict = zeroed(nn.Conv2d(before, out_channels, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Map an image ``(N, 3, H, W)`` to cues ``(N, out, ceil(H/4), ceil(W/4))``."""
        x = image
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        for layer, skip in zip(self.decoder, skips[7::-2], strict=True):
            # Where the encoder rounded an odd side up, the deconvolution gives one row or column too many.
            x = torch.cat((skip, layer(x)[..., : skip.shape[-2], : skip.shape[-1]]), 1)
        return self.predict(x)  # type: ignore[no-any-return]


def correct(propagated: Tensor, cues: Tensor, distortion: Tensor) -> Tensor:
    """Return ``f_P * (1 - M) + f_CC * M`` (Eq. 4), exactly the one or the other where M is 0 or 1."""
    return torch.lerp(propagated, cues.to(propagated.dtype), distortion.to(propagated.dtype))


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
    distortion = resize_like(parts.distortion, labels).detach().squeeze(1)
    counted = (labels != void).sum().clamp_min(1)
    of_propagated, of_corrected, of_cues = (
        cross_entropy(resize_like(logits, labels), labels, ignore_index=void, reduction='none')
        for logits in (parts.propagated, corrected, parts.cues)
    )
    return FrameLosses(
        of_propagated.sum() / counted, of_corrected.sum() / counted, (distortion * of_cues).sum() / counted
    )


def dual_deep_supervision(middle: FrameLosses, last: FrameLosses) -> Tensor:
    """Return the loss of a sample F1 -> F2 -> F3 (section III.D, Fig. 9): the mean over F2 and F3.

    The paper states Eq. 7 for one frame and not how frames add up; the mean keeps the loss's scale. F2 has
    no labels but ``pseudo_labels``; F3 is reached from F1 in one hop.
    """
    return (middle.total + last.total) / 2


def pseudo_labels(logits: Tensor, reference: Tensor) -> Tensor:
    """Return the labels ``(N, H, W)`` int64 that the network's logits give a frame without true ones."""
    return resize_like(logits, reference).argmax(1)


def distortion_target(propagated: Tensor, true: Tensor) -> Tensor:
    """Return what M should be: 1 where the label maps of two logits differ (section III.B, "XOR"), else 0."""
    return (propagated.argmax(1, keepdim=True) != true.argmax(1, keepdim=True)).float()


def distortion_loss(distortion: Tensor, target: Tensor) -> Tensor:
    """Return DMNet's loss, binary cross entropy; the paper says "supervised" and not by what."""
    return binary_cross_entropy(distortion, target)
