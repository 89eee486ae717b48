"""A video file, read by PyAV."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import av
import numpy as np

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_decoding import check_size
from vss_ros.images.video_decoding import EXPORT_VECTORS, CodecReader
from vss_ros.recordings.source import Source, SourceFrame, mask_files, read_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vss_ros.recordings.source import OnReject


class VideoFile(Source):
    """Frames in display order with the container's own stamps, counted from the video's start.

    Each comes with what the codec says of it, see :mod:`vss_ros.images.video_decoding`.
    """

    def __init__(self, path: Path, *, masks: Path | None = None, on_reject: OnReject | None = None) -> None:
        """Open the file; ``masks`` belong to the frames in the order of their names.

        Raises:
            VssError: It is no video, or the number of masks differs from the number of frames.
        """
        super().__init__(path, on_reject)
        self._masks = mask_files(masks) if masks else []
        self.has_masks = bool(self._masks)
        try:
            self._container = av.open(str(path))
        except (av.error.FFmpegError, OSError) as error:
            raise VssError(f'expected a video, got {path}: {error}; convert it with ffmpeg') from error
        try:
            if not self._container.streams.video:
                raise VssError(f'expected a video stream in {path}, got none; choose another file')
            self._stream = self._container.streams.video[0]
            self.frame_count = self._stream.frames or None
            self.fps = float(self._stream.average_rate) if self._stream.average_rate else None
            check_size(self._stream.height, self._stream.width)
            if self._masks and self.frame_count is not None and len(self._masks) != self.frame_count:
                raise VssError(
                    f'expected a mask for each of {self.frame_count} frames, got {len(self._masks)}'
                )
        except BaseException:
            self.close()
            raise
        # Not frame threads: see CodecReader.
        self._stream.thread_type = 'SLICE'
        self._stream.codec_context.options = EXPORT_VECTORS
        self._codec = CodecReader()

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames; packets that do not decode are left out."""
        start = None
        for index, picture in enumerate(self._decoded()):
            image = np.ascontiguousarray(picture.to_ndarray(format='rgb24'), np.uint8)
            if picture.pts is not None and picture.time_base is not None:
                stamp = round(picture.pts * picture.time_base * 10**9)
            else:
                stamp = round(index * 1e9 / (self.fps or 25.0))
            start = stamp if start is None else start
            # By the frames that came before, damaged ones included, so that later masks keep their frames.
            place = index + self.rejected
            file = self._masks[place] if place < len(self._masks) else None
            mask = None if file is None else read_mask(file, image, f'frame {place}')
            codec = self._codec.read(picture)
            yield SourceFrame(Frame(image, stamp - start, index, codec=codec), mask)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Decode packet by packet, so that one bad packet costs no more than its frame."""
        packets = self._container.demux(self._stream)
        for number in itertools.count():
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.error.FFmpegError as error:
                self.reject(f'{number} and all after it', VssError(f'expected a whole file: {error}'))
                return
            try:
                yield from packet.decode()
            except av.error.FFmpegError as error:
                self.reject(str(number), VssError(f'expected a whole frame: {error}'))
                self._codec.skip()
