"""Small data sets on disk, laid out to the letter of their documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = (64, 96)
"""Height and width of what is written here, unless said otherwise."""


def write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    """Write grey ``(H, W)`` or RGB ``(H, W, 3)`` pixels, with the folders above."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return path


def picture(seed: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return a blocky RGB image."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def blocks_of(values: NDArray[np.uint8], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Return an image of 8x8 blocks that take the values (ids or colours) in turn."""
    count = size[0] // 8 * (size[1] // 8)
    chosen = values[np.arange(count) % len(values)].reshape(size[0] // 8, size[1] // 8, *values.shape[1:])
    return chosen.repeat(8, 0).repeat(8, 1)


def cityscapes_tree(
    root: Path,
    frames: dict[str, list[tuple[str, int, int]]],
    *,
    sequence: bool = False,
    suffix: str = 'labelIds',
    size: tuple[int, int] = SIZE,
) -> Path:
    """Write Cityscapes: ``{root}/{type}/{split}/{city}/{city}_{seq:0>6}_{frame:0>6}_{type}{ext}``.

    Args:
        root: Where to.
        frames: By split: city, sequence and frame number of the labelled frames.
        sequence: Write snippets of 30 frames with the labelled one as the 20th, instead of stills.
        suffix: ``labelIds`` or ``labelTrainIds``.
        size: Height and width.

    """
    ids = np.array(
        [0, 1, 3, 7, 8, 11, 17, 21, 23, 24, 26, 33] if suffix == 'labelIds' else [0, 5, 18, 255], 'u1'
    )
    for split, labelled in frames.items():
        for city, number, frame in labelled:
            stem = f'{split}/{city}/{city}_{number:0>6}_'
            write_png(root / f'gtFine/{stem}{frame:0>6}_gtFine_{suffix}.png', blocks_of(ids, size))
            for shown in range(frame - 19, frame + 11) if sequence else [frame]:
                kind = 'leftImg8bit_sequence' if sequence else 'leftImg8bit'
                image = np.roll(picture(number, size), 2 * (frame - shown), 1)
                write_png(root / f'{kind}/{stem}{shown:0>6}_leftImg8bit.png', image)
    return root
