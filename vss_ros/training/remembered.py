"""Frames that are drawn once and learned from again and again, with the whole network's answers to them.

Of a batch of the pairs stage nearly all the time goes into setting stills in motion, searching that motion
and running the network three times. A propagation that looks at nothing but images, motion and logits can
learn from what is remembered of all that: ten times as many steps in the same time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm import tqdm

from vss_ros.engine.motion import MotionField
from vss_ros.engine.pair_batch import PairBatch
from vss_ros.engine.preprocess import IMAGENET, averaged, normalise
from vss_ros.engine.view import View

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from vss_ros.engine.motion.base import MotionEstimator

STRIDE = 2
"""Images are kept at half their sides, which is the finest that such a propagation looks at."""


class Remembered:
    """Key, between and current frames of drives in memory, as tensors.

    Args:
        batches: Called for the next batch of frames and answers, see ``pair_batch``.
        count: Frames to remember, three counted as one.
        motion: What the batches' motion was estimated by.
    """

    def __init__(self, batches: Callable[[], PairBatch], count: int, motion: MotionEstimator) -> None:
        self._stride = motion.stride
        kept: list[tuple[Tensor, ...]] = []
        with tqdm(total=count, desc='remembering frames', mininterval=5) as bar:
            while bar.n < count:
                batch = batches()
                views = (batch.key, batch.between, batch.current)
                images = torch.stack([torch.from_numpy(averaged(view.pixels, STRIDE)) for view in views], 1)
                logits = torch.stack((batch.key_logits, batch.between_logits, batch.teacher), 1)
                flows = torch.stack([view.motion.flow for view in views[1:]], 1)
                kept.append((images, logits.half(), flows.half(), batch.labels.byte()))
                bar.update(min(len(images), count - bar.n))
        columns = (torch.cat([each.cpu() for each in column])[:count] for column in zip(*kept, strict=True))
        self._images, self._logits, self._flows, self._labels = columns

    def draw(self, size: int, rng: np.random.Generator, device: torch.device) -> PairBatch:
        """Return a batch of so many, each at most once, mirrored or not."""
        chosen = torch.from_numpy(np.sort(rng.permutation(len(self._labels))[:size]))
        mirrored = bool(rng.random() < 0.5)
        images = self._images[chosen]
        parts = [of[chosen].to(device) for of in (self._logits, self._flows, self._labels)]
        if mirrored:
            images, parts = images.flip(-2), [part.flip(-1) for part in parts]
        logits, flows, labels = parts[0].float(), parts[1].float(), parts[2].long()
        if mirrored:
            flows = flows * flows.new_tensor((-1, 1)).view(2, 1, 1)
        key, between, current = (
            View(pixels, _Halved(pixels, device)) for pixels in images.numpy().swapaxes(0, 1)
        )
        between = between.replace(motion=MotionField(flows[:, 0], self._stride))
        current = current.replace(motion=MotionField(flows[:, 1], self._stride))
        of = logits.unbind(1)
        return PairBatch(key, between, current, labels, *of, *of)


class _Halved:
    """The normalised image of a frame of which half the sides are kept; see ``engine.view.Image``."""

    def __init__(self, pixels: NDArray[np.uint8], device: torch.device) -> None:
        self._pixels, self.device = pixels, device

    def image(self) -> Tensor:
        raise RuntimeError('only small images are remembered; expected a propagation that asks for no other')

    def cells(self, stride: int) -> NDArray[np.uint8]:
        return averaged(self._pixels, stride // STRIDE)

    def small(self, stride: int) -> Tensor:
        return normalise(torch.from_numpy(self.cells(stride)).to(self.device), IMAGENET)
