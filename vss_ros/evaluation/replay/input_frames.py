"""The frames of one input with their truth, decoded once for all configurations of a sweep."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.engine.build import build_segmenter
from vss_ros.engine.propagation.base import NO_PROPAGATION
from vss_ros.errors import VssError
from vss_ros.evaluation.metrics.streaming import PackedLabels
from vss_ros.evaluation.replay.content import content_digest, file_states
from vss_ros.images.image_decoding import ImageError
from vss_ros.recordings.bags import is_bag
from vss_ros.recordings.image_folder import is_cityscapes
from vss_ros.recordings.masks import MaskFolder
from vss_ros.recordings.open import open_source, recordings_in
from vss_ros.recordings.source import SourceFrame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.recordings.source import Source


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the inputs, each once: a folder of bags or videos stands for all of them, in order of names.

    What does not exist stays in the list: its evaluation says so, and those of the others go on.
    """
    found: dict[Path, None] = {}
    for path in paths:
        found.update(dict.fromkeys(recordings_in(path) or [path]))
    return list(found)


MEMORY_BYTES = 256 * 2**20
"""Decoded frames kept for the next configuration, at most; a longer input is decoded again."""


class InputFrames:
    """The frames of one input; iterate it as often as there are configurations.

    Args:
        path: A bag, a video or a folder of images.
        config: Says which topics and masks.

    Raises:
        VssError: It cannot be opened.
    """

    def __init__(self, path: Path, config: EvaluationConfig) -> None:
        """Open the input once to see what it is; nothing is decoded."""
        self.path = path
        self._config = config
        self._folder = None if config.agreement else masks_for(path, config.masks)
        with self._open() as source:
            self.frame_count = source.frame_count
            self.truth = self._kind_of_truth(source)
            """``masks``, ``folder`` or ``per_frame``."""
            self.damaged = source.partial is not None
            """Whether it is known from the start that not all of it can be had."""
            files = [*source.files, *([self._folder] if self._folder else [])]
        self.drops: Counter[str] = Counter()
        """Damaged frames and masks that the last iteration left out, by cause."""
        self.partial: str | None = None
        """Why the last iteration did not give the whole input; None where it did."""
        self.reference: dict[str, list[PackedLabels]] = {}
        """Place for what a per-frame network answers, by network."""
        self._watched = [path, *files]
        self._states, self._seen = file_states(files), file_states(self._watched)
        self._kept: list[SourceFrame] | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 over the input's files, masks included."""
        return content_digest(self._states)

    def serves(self, path: Path, config: EvaluationConfig) -> bool:
        """Tell whether another object for this input would give the same frames; nothing is opened."""
        choices = [(c.image_topic, c.mask_topic, c.masks, c.agreement, c.fps) for c in (config, self._config)]
        same = path == self.path and choices[0] == choices[1]
        return same and file_states(self._watched) == self._seen

    def __iter__(self) -> Iterator[SourceFrame]:
        """Yield the frames, from memory where they are there.

        An input that breaks off gives the frames up to there and says so in ``partial``.

        Raises:
            VssError: It breaks off before its first frame.
        """
        if self._kept is not None:
            yield from self._kept
            return
        kept: list[SourceFrame] | None = []
        taken = 0
        for pair in self._read():
            taken += pair.frame.image.nbytes + (0 if pair.mask is None else pair.mask.nbytes)
            if kept is not None and taken <= MEMORY_BYTES:
                kept.append(pair)
            else:
                kept = None
            yield pair
        self._kept = kept

    def _read(self) -> Iterator[SourceFrame]:
        self.drops, self.partial = Counter(), None
        read = 0
        with self._open() as source:
            labels = None
            if self._folder is not None and not self._by_name:
                labels = MaskFolder(self._folder, source.frame_count)
            try:
                for frame, mask in source:
                    found = mask if labels is None else self._labelled(labels, frame, source)
                    yield SourceFrame(frame, None if self.truth == 'per_frame' else found)
                    read += 1
            except VssError as error:
                if not read:
                    raise
                self.partial = str(error)
            self.partial = self.partial or source.partial

    def _open(self) -> Source:
        config = self._config
        return open_source(
            self.path,
            image_topic=config.image_topic or None,
            mask_topic=config.mask_topic or None,
            masks=self._folder if self._by_name else None,
            fps=config.fps,
            on_reject=self._note,
        )

    @property
    def _by_name(self) -> bool:
        """Images in a folder find their masks by their names; frames of a recording have none."""
        return self.path.is_dir() and not is_bag(self.path)

    def _kind_of_truth(self, source: Source) -> str:
        if self._folder is not None:
            return 'folder'
        return 'masks' if source.has_masks and not self._config.agreement else 'per_frame'

    def _labelled(self, labels: MaskFolder, frame: Frame, source: Source) -> NDArray[np.uint8] | None:
        """Return a frame's mask; where that is damaged the frame goes without."""
        try:
            return labels.mask_of(frame, frame.index + source.rejected)
        except ImageError as error:
            self._note('', error)
            return None

    def _note(self, _: str, error: VssError) -> None:
        self.drops[error.reason if isinstance(error, ImageError) else 'data'] += 1


def masks_for(path: Path, masks: str) -> Path | None:
    """Return the folder of an input's masks: in ``masks`` the one called like the input, else ``masks``.

    Args:
        path: The input.
        masks: What the user named; empty for none.

    Returns:
        None where nothing was named, or where the folder holds but other inputs' masks.

    Raises:
        VssError: There is no such folder.
    """
    if not masks:
        return None
    folder = Path(masks)
    if not folder.is_dir():
        raise VssError(f'expected a folder of masks, got {folder}, which is none')
    for name in (path.name, path.stem):
        if (folder / name).is_dir():
            return folder / name
    return folder if any(folder.glob('*.png')) or is_cityscapes(path) else None


_last: list[InputFrames] = []


def open_input(path: Path, config: EvaluationConfig) -> InputFrames:
    """Open an input; the very one that was opened last, with its frames in memory, where that is the same.

    Raises:
        VssError: It cannot be opened.
    """
    if not (_last and _last[0].serves(path, config)):
        _last[:] = [InputFrames(path, config)]
    return _last[0]


def per_frame(config: EvaluationConfig) -> EvaluationConfig:
    """Return the configuration whose network runs whole on every frame, all else but ``pda`` alike."""
    segmenter = replace(config.segmenter, propagation=NO_PROPAGATION)
    return replace(config, segmenter=segmenter, pda=False).canonical()


def per_frame_labels(
    frames: InputFrames, config: EvaluationConfig, on_frame: Callable[[], None] | None = None
) -> list[PackedLabels]:
    """Return the labels of the configuration's own network on every frame, at the resolution of its labels.

    Computed once per network and kept with the frames, for the configurations to come.
    """
    wanted = per_frame(config)
    known = frames.reference.get(wanted.digest())
    if known is not None:
        return known
    built = build_segmenter(wanted.segmenter)
    labels = []
    for frame, _ in frames:
        labels.append(PackedLabels.of(built.segmenter.step(frame).labels))
        if on_frame is not None:
            on_frame()
    frames.reference[wanted.digest()] = labels
    return labels
