"""A video file, read by PyAV."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

import av
import numpy as np
from av.video.frame import PictureType

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.files import read_regular
from vss_ros.images.image_error import check_size
from vss_ros.images.image_files import Turn
from vss_ros.images.video_decoding import STRICT, CodecReader
from vss_ros.recordings.matroska import Clusters
from vss_ros.recordings.source import Source, SourceFrame, mask_files, read_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vss_ros.images.classes import ClassTable
    from vss_ros.recordings.source import OnReject

SHORT_BY: Final = 0.75
"""Frames by which a whole video may miss its declared end."""
SOUND_LONGER: Final = 1.5
"""Seconds more where the end that is declared may be that of the sound."""
TS_PACKET: Final = 188


VP9: Final = 'libvpx-vp9'
"""The decoder that says of some damaged packets that they are; FFmpeg's own makes pictures of all."""


def _open_vp9(context: av.VideoCodecContext) -> av.VideoCodecContext:
    decoder = av.CodecContext.create(VP9, 'r')
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata, decoder.thread_count = context.extradata, 1
    return decoder


class VideoFile(Source):
    """Frames in display order with the container's own stamps, counted from the video's start.

    Each comes with what the codec says of it, see :mod:`vss_ros.images.video_decoding`. Decoding is strict: a
    damaged frame is left out, and so are those after it that may be made from it, up to the next I-frame.
    Eight wrong bytes in a row are noticed in 92 to 97 % of 120 files of H.264, MPEG-4 and MPEG-2 each (a
    dashcam at 320x180), and in all .mkv with checksums, as FFmpeg writes them. Decoders of VP8, VP9 and HEVC
    make pictures of damaged bytes, too: of 30 files each 1, 22 and 4 are noticed, of HEVC with hashes of its
    pictures all.
    """

    def __init__(
        self,
        path: Path,
        *,
        masks: Path | None = None,
        on_reject: OnReject | None = None,
        table: ClassTable | None = None,
    ) -> None:
        """Open the file; ``masks`` belong to the frames in the order of their names.

        Raises:
            VssError: It is no video, or the number of masks differs from the number of frames.
        """
        super().__init__(path, on_reject, table)
        self._clusters: Clusters | None = None
        self._masks = mask_files(masks) if masks else []
        self.has_masks = bool(self._masks)
        if not path.is_file():
            raise VssError(f'expected a video file, got {path}, a folder or device; record it into a file')
        try:
            self._container = av.open(str(path), metadata_errors='replace')
        except (av.error.FFmpegError, OSError) as error:
            raise VssError(f'expected a video, got {path}: {error}; convert it with ffmpeg') from error
        try:
            if not self._container.streams.video:
                raise VssError(f'expected a video stream in {path}, got none; choose another file')
            self._stream = self._container.streams.video[0]
            if getattr(self._stream, 'height', None) is None:  # PyAV knows no such codec
                raise VssError(
                    f'expected a video stream in {path} that FFmpeg decodes, got another; convert it'
                )
            self.frame_count = self._shown()
            self.fps = float(self._stream.average_rate) if self._stream.average_rate else None
            check_size(self._stream.height, self._stream.width)
            if self._masks and self.frame_count is not None and len(self._masks) != self.frame_count:
                raise VssError(
                    f'expected a mask for each of {self.frame_count} frames, got {len(self._masks)}'
                )
        except BaseException:
            self.close()
            raise
        self._decoder = self._strict_decoder()
        self._clusters = Clusters(path) if 'matroska' in self._container.format.name else None
        self._codec = CodecReader()
        self._taken = 0
        """Frames that were whole so far."""
        self._due: dict[float, str] = {}
        """Stamps of packets whose pictures have not come, and what is wrong with them."""
        self._damage: float | None = None
        """Stamp of the last damage, None once an I-frame has come."""

    def _strict_decoder(self) -> av.VideoCodecContext:
        """Return the decoder that tells most of damage, to be used by one thread."""
        # Several hand out vectors that are still being written, and mend damage in silence.
        self._stream.thread_type, self._stream.codec_context.thread_count = 'NONE', 1
        self._stream.codec_context.options = STRICT
        decoder = self._stream.codec_context
        return _open_vp9(decoder) if decoder.name == 'vp9' and VP9 in av.codecs_available else decoder

    def _shown(self) -> int | None:
        """Return how many frames the container declares, without those that an MP4's edit list hides."""
        frames = self._stream.frames
        entries = getattr(self._stream, 'index_entries', ())  # PyAV 17
        if frames and entries and self._container.format.name.startswith('mov'):
            frames = sum(not entry.is_discard for entry in entries)
        return frames or None

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        if self._clusters is not None:
            self._clusters.close()

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames; damaged ones are left out."""
        start = None
        for index, picture in enumerate(self._whole()):
            matrix: Any = picture.side_data.get('DISPLAYMATRIX')
            turn = Turn() if matrix is None else Turn.of_matrix(bytes(matrix))
            image = np.asarray(turn.picture(picture.to_ndarray(format='rgb24')), np.uint8)
            if picture.pts is not None and picture.time_base is not None:
                stamp = round(picture.pts * picture.time_base * 10**9)
            else:
                stamp = round(index * 1e9 / (self.fps or 25.0))
            start = stamp if start is None else start
            # By the frames that came before, damaged ones included, so that later masks keep their frames.
            place = index + self.rejected
            file = self._masks[place] if place < len(self._masks) else None
            mask = None if file is None else read_mask(file, image, f'frame {place}', self.table)
            codec = self._codec.read(picture)
            if codec.vectors is not None:
                codec = replace(codec, vectors=turn.vectors(codec.vectors, *image.shape[:2]))
            yield SourceFrame(Frame(image, stamp - start, index, codec=codec), mask)

    def _whole(self) -> Iterator[av.VideoFrame]:
        """Yield the pictures that are as they were encoded, and report the others."""
        for picture in self._decoded():
            stamp = -inf if picture.pts is None else picture.pts
            self._give_up([due for due in self._due if due < stamp])
            reason = self._due.pop(stamp, '')
            if picture.is_corrupt or reason:
                self._damage = stamp
            elif self._damage is not None and stamp >= self._damage and self._is_key(picture):
                self._damage = None
            if self._damage is None:
                yield picture
                self._taken += 1
            else:
                self._leave_out(reason)
        self._give_up([*self._due])

    def _is_key(self, picture: av.VideoFrame) -> bool:
        told = self._decoder.name == VP9 and PictureType(picture.pict_type) is PictureType.I
        return picture.key_frame or told

    def _give_up(self, stamps: list[float]) -> None:
        """Report pictures that have not come; without damage they are some that are not meant to be shown."""
        for stamp in sorted(stamps):
            reason = self._due.pop(stamp)
            if reason or self._damage is not None:
                self._leave_out(reason)

    def _leave_out(self, reason: str) -> None:
        reason = reason or 'expected a whole frame, got one that is damaged or made from one that is'
        self.reject(f'{self._taken + self.rejected}', VssError(reason))
        self._codec.skip()

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """Decode packet by packet, noting which are damaged, and at the end whether it was all."""
        packets = self._container.demux(self._stream)
        begin, end = inf, -inf
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                break
            except av.error.FFmpegError as error:
                self.partial = f'expected a whole file: {error}'
                return
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is not None and not packet.is_discard:
                begin, end = min(begin, stamp), max(end, stamp + (packet.duration or self._ticks()))
                self._due[stamp] = self._wrong(packet)
            try:
                yield from self._pictures(packet)
            except av.error.FFmpegError as error:
                place = -inf if stamp is None else stamp
                self._damage = place if self._damage is None else max(self._damage, place)
                if not packet.is_discard:
                    self._due[place] = f'expected a whole frame: {error}'
        self.partial = self._missing(begin, end)

    def _wrong(self, packet: av.Packet[Any]) -> str:
        """Return what the container says is wrong with a packet."""
        if packet.is_corrupt:
            return 'expected a whole packet, got one that its container calls damaged'
        if self._clusters is not None and packet.pos is not None and self._clusters.is_damaged(packet.pos):
            return 'expected a whole packet, got one whose cluster has another checksum'
        return ''

    def _pictures(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        pictures = self._decoder.decode(packet if packet.size else None)
        if self._decoder.name == VP9:
            for picture in pictures:  # of which its decoder says nothing
                picture.pict_type = PictureType.I if packet.is_keyframe else PictureType.P
        return pictures

    def _is_torn(self) -> bool:
        """Say whether a transport stream ends within a packet."""
        head = read_regular(self.path, 2**60, TS_PACKET + 1)
        return head[:1] == head[-1:] == b'G' and bool(self.path.stat().st_size % TS_PACKET)

    def _ticks(self) -> float:
        """Return a frame's duration where its packet does not say it, in units of stamps."""
        return 1 / (self.fps or 25.0) / float(self._stream.time_base or 1)

    def _missing(self, begin: float, end: float) -> str | None:
        """Return how frames from stamp to stamp fall short of what the file declares, None for not."""
        stream, container = self._stream, self._container
        frame = 1 / (self.fps or 25.0)
        declared = stream.frames * frame if container.format.name == 'avi' else 0.0
        if stream.duration is not None and stream.time_base is not None:
            declared = max(declared, float(stream.duration * stream.time_base))
        elif container.duration is not None:
            declared = container.duration / 1e6 - (SOUND_LONGER if len(container.streams) > 1 else 0.0)
        seconds = (end - begin) * float(stream.time_base or 0)
        if seconds > -inf and seconds + SHORT_BY * frame < declared:
            return f'expected a video of {declared:.2f} s, got {seconds:.2f} s; copy the file again'
        if container.format.name == 'mpegts' and self._is_torn():
            return f'expected packets of {TS_PACKET} bytes, got a part of one at the end; copy the file again'
        return None
