"""Small videos whose motion is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import cv2
import numpy as np

from vss_ros.images.video_decoding import Picture, VideoDecoder, VideoPacket
from vss_ros.images.video_encoding import VideoEncoder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from vss_ros.images.image_error import ImageError

SIZE = (144, 192)


def texture(seed: int = 0, size: tuple[int, int] = (SIZE[0] + 128, SIZE[1] + 160)) -> NDArray[np.uint8]:
    """Return a smooth random RGB texture, which has one answer for where each patch went."""
    noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2).astype(np.float32)
    return np.asarray((smooth - smooth.min()) * (255 / np.ptp(smooth)), np.uint8)


def panned(frames: int, step: tuple[int, int] = (3, 2)) -> list[NDArray[np.uint8]]:
    """Return windows of a texture, each ``step`` (x, y) pixels further right and down."""
    image = texture()
    return [
        np.ascontiguousarray(image[y : y + SIZE[0], x : x + SIZE[1]])
        for x, y in ((i * step[0], i * step[1]) for i in range(frames))
    ]


def packets(images: list[NDArray[np.uint8]], name: str = 'mpeg4', **options: int) -> list[VideoPacket]:
    """Return the packets of a video."""
    encoder = VideoEncoder(name, **options)
    return [VideoPacket(encoder.encode(image), name) for image in images]


class Decoded:
    """What became of packets that were decoded one by one."""

    def __init__(self, stream: list[VideoPacket]) -> None:
        """Decode them."""
        self.rejected: list[tuple[int, str]] = []
        """Place and reason of each packet refused."""
        self._place = 0
        decoder = VideoDecoder(self._on_reject)
        self.pictures: list[Picture | None] = []
        for self._place, packet in enumerate(stream):
            self.pictures.append(decoder.decode([packet]))
        self.waited = decoder.waited

    def _on_reject(self, _: int, error: ImageError) -> None:
        self.rejected.append((self._place, error.reason))

    @property
    def kinds(self) -> str:
        """I-frames, frames with vectors (P) and without (p), and places without a picture (-)."""
        return ''.join(map(kind, self.pictures))


def kind(picture: Picture | None) -> str:
    """Return the letter of a picture in ``Decoded.kinds``."""
    if picture is None:
        return '-'
    return 'I' if picture.codec.is_key else 'p' if picture.codec.vectors is None else 'P'


def write_video(path: Path, images: list[NDArray[np.uint8]], encoder: str, **options: str) -> Path:
    """Write a video file at 15 Hz."""
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(encoder, rate=15, options=options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.gop_size = 12
        stream.bit_rate = 4_000_000
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format='rgb24')))
        container.mux(stream.encode())
    return path
