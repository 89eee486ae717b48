"""A folder of images, with a folder of masks where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.engine.frames import Frame
from vss_ros.errors import VssError
from vss_ros.images.image_decoding import ImageError, decode_compressed, decode_mask
from vss_ros.recordings.source import Source, SourceFrame, check_mask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.recordings.source import OnReject

_IMAGE_SUFFIXES = frozenset({'.png', '.jpg', '.jpeg'})


class FolderSource(Source):
    """Images in the order of their names, stamped by a steady frame rate."""

    def __init__(
        self,
        path: Path,
        *,
        masks: Path | None = None,
        fps: float = 15.0,
        on_reject: OnReject | None = None,
    ) -> None:
        """List the images and pair the masks.

        Args:
            path: The folder, or one with ``images`` and ``labels``, or ``val`` and ``valannot``, in it.
            masks: Folder of masks named like the images; found by itself in CamVid's layout.
            fps: Frames per second.
            on_reject: See :class:`Source`.

        Raises:
            VssError: No images, no fitting masks, or a rate that is not positive.
        """
        if not fps > 0:
            raise VssError(f'expected a positive frame rate, got {fps}')
        super().__init__(path, on_reject)
        folder = _image_folder(path)
        self._images = _files(folder, _IMAGE_SUFFIXES)
        if not self._images:
            inside = ', '.join(sorted(entry.name for entry in folder.iterdir())[:8]) or 'nothing'
            raise VssError(f'expected PNG or JPEG images in {folder}, got {inside}; name their own folder')
        masks = masks or _sibling_masks(folder)
        self._masks = {file.stem: file for file in mask_files(masks)} if masks else {}
        if masks and not any(image.stem in self._masks for image in self._images):
            raise VssError(
                f'expected masks named like the images ({self._images[0].stem}.png), got none in {masks}'
            )
        self._fps = fps

    @property
    def frame_count(self) -> int:
        """Images in the folder."""
        return len(self._images)

    @property
    def fps(self) -> float:
        """The rate given at the start."""
        return self._fps

    @property
    def has_masks(self) -> bool:
        """Whether a folder of masks was given or found."""
        return bool(self._masks)

    @property
    def files(self) -> list[Path]:
        """Images and masks."""
        return [*self._images, *self._masks.values()]

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the images; a damaged one keeps its place in time."""
        index = 0
        for position, file in enumerate(self._images):
            try:
                image = decode_compressed(file.read_bytes(), '')
                mask_file = self._masks.get(file.stem)
                mask = None if mask_file is None else check_mask(read_mask(mask_file), image, file.name)
            except ImageError as error:
                self.reject(file.name, error)
                continue
            yield SourceFrame(Frame(image, round(position * 1e9 / self._fps), index), mask)
            index += 1


def _image_folder(path: Path) -> Path:
    """Return the folder of images in a data set's own, or the folder itself."""
    if (path / 'images').is_dir():
        return path / 'images'
    return path / 'val' if (path / 'val').is_dir() and (path / 'valannot').is_dir() else path


def mask_files(folder: Path) -> list[Path]:
    """List a folder's PNG masks by name.

    Raises:
        VssError: There are none.
    """
    files = _files(folder, frozenset({'.png'})) if folder.is_dir() else []
    if not files:
        raise VssError(f'expected a folder of PNG masks, got {folder}, which holds none')
    return files


def read_mask(file: Path) -> NDArray[np.uint8]:
    """Read a mask file.

    Raises:
        ImageError: It is damaged or not an 8-bit grey PNG.
    """
    return decode_mask(file.read_bytes())


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    """List files of some kinds by name, hidden ones aside."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes and not f.name.startswith('.'))


def _sibling_masks(folder: Path) -> Path | None:
    """Find the masks that CamVid's layout, or images/ + labels/, puts beside the images."""
    folder = folder.absolute()
    sibling = folder.parent / ('labels' if folder.name == 'images' else f'{folder.name}annot')
    return sibling if sibling.is_dir() else None
