"""Masks drawn over the camera image, one by one or as a video."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from vss_ros.errors import VssError

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from vss_ros.images.classes import ClassTable


def blend(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], table: ClassTable, alpha: float = 0.5
) -> NDArray[np.uint8]:
    """Draw labels over an image.

    Args:
        image: RGB, shape ``(H, W, 3)``.
        labels: Class ids of any size; scaled to the image by nearest neighbour. Void darkens the image.
        table: Whose colours to use.
        alpha: Weight of the colours, 0..1.

    Returns:
        RGB, shape ``(H, W, 3)``.
    """
    height, width = image.shape[:2]
    colours = table.colourise(labels)
    if labels.shape != (height, width):
        colours = np.asarray(cv2.resize(colours, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
    return np.asarray(cv2.addWeighted(image, 1 - alpha, colours, alpha, 0), np.uint8)


class OverlayWriter:
    """Writes an MP4 (H.264, MPEG-4 where FFmpeg lacks it) that appears under its name once it is whole.

    Use as a context manager; leaving by an exception removes what was written.
    """

    def __init__(self, path: Path, size: tuple[int, int], fps: float) -> None:
        """Open a temporary file beside the target.

        Args:
            path: The video to make; an existing one is replaced at the end.
            size: Height and width of the images. An odd last row or column is cut off, as the codec wants.
            fps: Frames per second.

        Raises:
            VssError: The rate or size is impossible, or no encoder is at hand.
        """
        import av  # the node, which draws single images, does without the video library

        if not 0 < fps <= 1000 or min(size) < 2:
            raise VssError(f'expected a rate of 0 to 1000 fps and at least 2x2 pixels, got {fps} and {size}')
        self.path = Path(path)
        self._size = size
        self._even = (size[0] // 2 * 2, size[1] // 2 * 2)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self.path.with_name(f'.{self.path.name}.{os.getpid()}.mp4')
        self._container = av.open(str(self._partial), 'w', format='mp4', options={'movflags': 'faststart'})
        try:
            self._stream = self._add_stream(Fraction(fps).limit_denominator(1001))
        except BaseException:
            self._discard()
            raise
        self.frames = 0
        """Images written so far."""

    def _add_stream(self, rate: Fraction) -> Any:
        """Choose the encoder."""
        import av

        for codec, options in (('libx264', {'preset': 'veryfast', 'crf': '23'}), ('mpeg4', {'qscale': '4'})):
            if codec in av.codecs_available:
                stream: Any = self._container.add_stream(codec, rate=rate, options=options)
                stream.height, stream.width = self._even
                stream.pix_fmt = 'yuv420p'
                return stream
        raise VssError('expected FFmpeg with libx264 or mpeg4, got neither; install the av wheel from PyPI')

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one image.

        Args:
            image: RGB, shape ``(H, W, 3)`` of the size given at the start.

        Raises:
            VssError: The size differs.
        """
        import av

        if image.shape != (*self._size, 3):
            raise VssError(f'expected images of {self._size} in {self.path}, got {image.shape}')
        height, width = self._even
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image[:height, :width]), format='rgb24')
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Finish the video and put it in place."""
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            self._partial.replace(self.path)
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        """Remove the unfinished file."""
        self._container.close()
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish, or remove the file after an exception."""
        if kind is None:
            self.close()
        else:
            self._discard()
