"""Encoder-decoders that can be cut at any of their decoder's three steps (TWNet, section 4.4.2)."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from vss_ros.engine.backbones.base import Backbone
from vss_ros.errors import VssError


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels of an encoder and of its decoder by their strides."""

    encoder4: int
    detail4: int
    """Of what the decoder's last step takes from the encoder."""
    encoder8: int
    encoder16: int
    decoder16: int
    decoder8: int
    decoder4: int


class Steps(NamedTuple):
    """The modules between an encoder-decoder's cuts; each maps a tensor to the next."""

    encode4: nn.Module
    """From the image to ``(N, encoder4, H/4, W/4)``."""
    lateral4: nn.Module
    """From there to what the decoder's last step takes from the encoder, ``(N, detail4, H/4, W/4)``."""
    encode8: nn.Module
    """From stride 4 to ``(N, encoder8, H/8, W/8)``."""
    enter16: nn.Module
    """From there through the first block at stride 16, ``(N, encoder16, H/16, W/16)``."""
    encode16: nn.Module
    """Through the other blocks at that stride."""
    deepen: nn.Module
    """From there to what the decoder starts from."""


class InteriorBackbone(Backbone):
    """An encoder-decoder with lateral connections at strides 16, 8 and 4, cut at one of them.

    F_h is what the decoder has computed up to the interior layer: its output at stride 16 for layer 1, 8 for
    layer 2, 4 for layer 3. What the later decoder steps take from the encoder by lateral connections,
    ``head1`` and ``head2`` of TWNet's Tables 6 and 7, comes from before the cut: F_l and F_h both carry
    it, unchanged, as their last ``lateral_channels``, folded to the cut's stride by space-to-depth. So
    nothing is lost, the network computes the same with every cut as in one piece, and the same weights
    fit all three. A propagation that wants TWNet's non-key-frame network (section 4.2) takes the lateral
    channels from the current frame's F_l and moves the rest.

    F_l's other channels are the encoder's at the cut's stride, where TWNet's correction needs "the spatial
    features of the current frame" (section 4.3.1) and leaves open which: ``head2`` at stride 8, ``head1``
    at stride 4, and at stride 16 the first block alone, since up to ``head3`` the encoder costs more
    than all before it, and Table 6 leaves ``head3`` out for layer 1.

    Args:
        interior: Interior layer, 1 to 3; a later one is cheaper between key frames and less accurate.

    Raises:
        VssError: No such layer.
    """

    interior_layers: ClassVar[tuple[int, ...]] = (1, 2, 3)
    interior = 2
    coarsest_stride = 32
    logits_stride = 4
    widths: ClassVar[Widths]

    up16: nn.Module
    up8: nn.Module
    up4: nn.Module

    def __init__(self, classes: int, interior: int = 2) -> None:
        super().__init__(classes)
        if interior not in self.interior_layers:
            raise VssError(f'interior layer {interior}: expected one of {self.interior_layers}')
        self.interior = interior
        w = self.widths
        spatial, moved, lateral = {
            1: (w.encoder16, w.decoder16, 4 * w.encoder8 + 16 * w.detail4),
            2: (w.encoder8, w.decoder8, 4 * w.detail4),
            3: (w.encoder4, w.decoder4, 0),
        }[interior]
        self.low_stride = self.high_stride = 32 >> interior
        self.low_channels, self.high_channels = spatial + lateral, moved + lateral
        self.lateral_channels = lateral
        self.size_multiple = max(self.low_stride, 8)

    @abstractmethod
    def steps(self) -> Steps:
        """Return the steps that the network is put together from."""

    def low(self, image: Tensor) -> Tensor:
        """Return F_l ``(N, low_channels, H/low_stride, W/low_stride)``: spatial, then lateral channels."""
        steps = self.steps()
        at4 = steps.encode4(image)
        if self.interior == 3:
            return at4  # type: ignore[no-any-return]
        at8 = steps.encode8(at4)
        detail = steps.lateral4(at4)
        if self.interior == 2:
            return torch.cat((at8, pixel_unshuffle(detail, 2)), 1)
        return torch.cat((steps.enter16(at8), pixel_unshuffle(at8, 2), pixel_unshuffle(detail, 4)), 1)

    def high(self, low: Tensor) -> Tensor:
        """Return F_h ``(N, high_channels, H/high_stride, W/high_stride)``: decoder, then lateral channels."""
        steps = self.steps()
        if self.interior == 1:
            entered, lateral = low.split((self.widths.encoder16, self.lateral_channels), 1)
            return torch.cat((self._decode16(entered), lateral), 1)
        at8 = steps.encode8(low) if self.interior == 3 else low[:, : self.widths.encoder8]
        decoded: Tensor = self.up8(self._decode16(steps.enter16(at8)), at8)
        if self.interior == 3:
            return self.up4(decoded, steps.lateral4(low))  # type: ignore[no-any-return]
        return torch.cat((decoded, low[:, self.widths.encoder8 :]), 1)

    def head(self, high: Tensor) -> Tensor:
        """Return logits ``(N, classes, H/4, W/4)``: the decoder's other steps and the classifier."""
        w = self.widths
        if self.interior == 2:
            at8, folded4 = high.split((w.decoder8, 4 * w.detail4), 1)
            high = self.up4(at8, pixel_shuffle(folded4, 2))
        elif self.interior == 1:
            at16, folded8, folded4 = high.split((w.decoder16, 4 * w.encoder8, 16 * w.detail4), 1)
            at8 = self.up8(at16, pixel_shuffle(folded8, 2))
            high = self.up4(at8, pixel_shuffle(folded4, 4))
        return super().head(high)

    def _decode16(self, entered: Tensor) -> Tensor:
        steps = self.steps()
        at16 = steps.encode16(entered)
        return self.up16(steps.deepen(at16), at16)  # type: ignore[no-any-return]
