"""An evaluation's inputs: each is opened once, and its frames are decoded once for all configurations."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.engine.model_card import read_card
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.content import content_digest, file_states
from vss_ros.images.classes import load_classes
from vss_ros.images.image_error import ImageError
from vss_ros.recordings.bags import is_bag
from vss_ros.recordings.image_folder import is_cityscapes
from vss_ros.recordings.open import open_source, recordings_in
from vss_ros.recordings.source import MaskFolder, SourceFrame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self

    import numpy as np
    from numpy.typing import NDArray

    from vss_ros.engine.frames import Frame
    from vss_ros.evaluation.metrics.streaming import PackedLabels
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.recordings.source import Source


def expand(paths: Iterable[Path]) -> list[Path]:
    """Return the inputs, each once: a folder of bags or videos stands for all of them, in order of names.

    What does not exist stays in the list: its evaluation says so, and those of the others go on.
    """
    return list(dict.fromkeys(found for path in paths for found in recordings_in(path) or [path]))


MEMORY_BYTES = 256 * 2**20
"""Decoded frames kept for the next configuration, at most; a longer input is decoded again."""
OPEN_AT_ONCE = 32
"""Inputs that wait for their turn with their files open; those beyond are opened once more."""


class Inputs:
    """The inputs of a run. Each is opened once; the frames of the one at work stay in memory.

    A process has one of these for all its configurations. Use it in a ``with`` statement.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], InputFrames] = {}

    def open(self, path: Path | str, config: EvaluationConfig) -> InputFrames:
        """Return an input as a configuration reads it, opened anew only where its files have changed.

        What other inputs keep in memory is given up.

        Raises:
            VssError: It cannot be opened.
        """
        classes = read_card(config.segmenter.model).classes
        key = (
            str(path),
            classes,
            config.image_topic,
            config.mask_topic,
            config.masks,
            config.agreement,
            config.fps,
        )
        found = self._known.get(key)
        if found is None or found.changed:
            if found is not None:
                found.close()
            self._known[key] = found = InputFrames(Path(path), config)
            if sum(other.is_open for other in self._known.values()) > OPEN_AT_ONCE:
                found.close()
        for other in self._known.values():
            if other is not found:
                other.forget()
        return found

    def close(self) -> None:
        """Close all inputs and forget what is known of them."""
        while self._known:
            self._known.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class InputFrames:
    """The frames of a bag, a video or a folder of images; iterate it as often as there are configurations.

    Nothing is decoded at first, and the files stay open for the first iteration.

    Raises:
        VssError: It cannot be opened.
    """

    def __init__(self, path: Path, config: EvaluationConfig) -> None:
        self.path = path
        self._config = config
        self._table = load_classes(read_card(config.segmenter.model).classes)
        self._folder = None if config.agreement else masks_for(path, config.masks)
        self.drops: Counter[str] = Counter()
        """Damaged frames and masks that the last iteration left out, by cause."""
        with ExitStack() as stack:
            source = stack.enter_context(self._open())
            self.frame_count = source.frame_count
            self.truth = self._kind_of_truth(source)
            """``masks``, ``folder`` or ``per_frame``."""
            self.damaged = source.partial is not None
            """Whether it is known from the start that not all of it can be had."""
            files = [*source.files, *([self._folder] if self._folder else [])]
            self._watched = [path, *files]
            self._states, self._seen = file_states(files), file_states(self._watched)
            stack.pop_all()
        self._source: Source | None = source
        self.nothing = source.nothing
        """What to raise where no frame came."""
        self.refused = ''
        """Of the last iteration: see ``Source.refused``."""
        self.partial: str | None = None
        """Why the last iteration did not give the whole input; None where it did."""
        self.reference: dict[str, list[PackedLabels]] = {}
        """What per-frame networks answered, by the digests of their configurations."""
        self._kept: list[SourceFrame] | None = None

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over the input's files, masks included."""
        return content_digest(self._states)

    @property
    def changed(self) -> bool:
        """Whether the input's files are no longer those that were opened."""
        return file_states(self._watched) != self._seen

    @property
    def is_open(self) -> bool:
        """Whether its files are open, waiting for the first iteration."""
        return self._source is not None

    def close(self) -> None:
        """Close the files; an iteration opens them again."""
        if self._source is not None:
            self._source.close()
            self._source = None

    def forget(self) -> None:
        """Give up what is kept in memory; an iteration decodes again."""
        self._kept = None
        self.reference.clear()

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
        source, self._source = self._source or self._open(), None
        self.partial = None
        read = 0
        with source:
            labels = None
            if self._folder is not None and not self._by_name:
                labels = MaskFolder(self._folder, source.frame_count, self._table)
            try:
                for frame, mask in source:
                    found = mask if labels is None else self._labelled(labels, frame, source)
                    yield SourceFrame(frame, None if self.truth == 'per_frame' else found)
                    read += 1
            except VssError as error:
                if not read:
                    raise
                self.partial = str(error)
            self.partial, self.nothing = self.partial or source.partial, source.nothing
            self.refused = source.refused

    def _open(self) -> Source:
        self.drops = Counter()
        config = self._config
        return open_source(
            self.path,
            image_topic=config.image_topic or None,
            mask_topic=config.mask_topic or None,
            masks=self._folder if self._by_name else None,
            fps=config.fps,
            on_reject=self._note,
            table=self._table,
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
        """Return a frame's mask; where that is damaged the frame has none."""
        try:
            return labels.mask_of(frame, frame.index + source.rejected)
        except ImageError as error:
            self._note('', error)
            return None

    def _note(self, _: str, error: VssError) -> None:
        self.drops[error.reason if isinstance(error, ImageError) else 'data'] += 1


def masks_for(path: Path, masks: str) -> Path | None:
    """Return the folder of an input's masks: in ``masks`` the one called like the input, else ``masks``.

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
    for own in (folder / path.name, folder / path.stem):
        if own.is_dir():
            return own
    return folder if any(folder.glob('*.png')) or is_cityscapes(path) else None
