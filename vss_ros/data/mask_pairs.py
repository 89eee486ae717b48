"""Masks and the images they belong to, by stamp; a recording where none belongs to its image is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from vss_ros.data.image_decoding import ImageError
from vss_ros.data.sources import check_mask
from vss_ros.errors import VssError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

_PATIENCE: Final = 20
"""How many masks, and images, from the beginning on may go without a pair before the recording is refused."""


class MaskPairs:
    """Hands out the mask of each image.

    A mask of another size than its image is that frame's damage. Where this is so of the first twenty, or of
    all, or where none of as many carries the stamp of an image, masks and images do not belong together.
    """

    def __init__(self, masks: Iterator[tuple[int, NDArray[np.uint8]]], name: str, *, strict: bool) -> None:
        """Hold the first mask.

        Args:
            masks: Stamp in nanoseconds and class ids, in the order of stamps.
            name: What errors call them.
            strict: Whether no image is missing, so that masks can't be left over for that.
        """
        self._masks, self._name, self._strict = masks, name, strict
        self._held = next(masks, None)
        self._images = self._pairs = self._unpaired = 0
        self._misfit: ImageError | None = None
        self._misfits = 0

    def mask_of(self, image: NDArray[np.uint8], stamp: int) -> NDArray[np.uint8] | None:
        """Return an image's mask.

        Args:
            image: RGB, shape ``(H, W, 3)``.
            stamp: In nanoseconds, not before that of the call before.

        Returns:
            Class ids, shape ``(H, W)``; None where there is no mask of this stamp.

        Raises:
            ImageError: The mask has another size.
            VssError: So had all before, or none before had the stamp of an image.
        """
        self._images += 1
        while self._held is not None and self._held[0] < stamp:
            self._advance()
            self._unpaired += 1
        if min(self._unpaired, self._images) >= _PATIENCE:
            self._refuse_strangers()
        if self._held is None or self._held[0] != stamp:
            return None
        mask = self._held[1]
        self._advance()
        try:
            mask = check_mask(mask, image, f'stamp {stamp}')
        except ImageError as error:
            self._misfit = self._misfit or error
            self._misfits += 1
            if self._misfits >= _PATIENCE:
                self._refuse_misfits()
            raise
        self._pairs += 1
        return mask

    def finish(self, *, all_came: bool) -> None:
        """Judge the masks when there are no more images.

        Args:
            all_came: Whether no image was left out as damaged.

        Raises:
            VssError: None belonged to an image.
        """
        self._refuse_misfits()
        self._unpaired += self._held is not None
        if all_came:
            self._refuse_strangers()

    def _advance(self) -> None:
        """Take the next mask."""
        self._held = next(self._masks, None)

    def _refuse_misfits(self) -> None:
        """Refuse masks of other sizes."""
        if self._misfits and not self._pairs:
            raise VssError(
                f'{self._name}: the masks do not fit their images, {self._misfits} of {self._misfits}: '
                f'{self._misfit}; record masks as large as the images, or name another topic'
            )

    def _refuse_strangers(self) -> None:
        """Refuse masks of other times; where images are missing, some may rightly be left over."""
        if self._strict and self._unpaired and not (self._pairs or self._misfits):
            raise VssError(
                f'{self._name}: expected masks with the stamps of images, got {self._unpaired} with others; '
                f'give a mask the stamp of its image, or name another topic'
            )
