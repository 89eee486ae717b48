"""Results on disk, found by what they depend on, so that a stopped run goes on where it was."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vss_ros.errors import VssError
from vss_ros.evaluation.replay.content import code_digest, weights_digest
from vss_ros.evaluation.replay.evaluate_bag import evaluate_bag
from vss_ros.evaluation.replay.result import Evaluated, InputResult, InputTiming
from vss_ros.files import read_summed, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from vss_ros.evaluation.replay.input_frames import InputFrames, Inputs
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig

    Evaluate = Callable[[Path | str, EvaluationConfig, Callable[[], None] | None, Inputs], Evaluated]


class ResultStore:
    """A folder of results, one file each, named by the SHA-256 of everything they depend on.

    Made where it is missing. Several processes and machines may share it: a file appears when it is whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, key: str, replays: int = 1) -> Evaluated | None:
        """Return a result; None where there is none, its file has changed, or fewer replays were timed."""
        try:
            values = read_summed(self._file(key))
            timing = InputTiming.from_dict(values['timing'])
            found = Evaluated(InputResult.from_dict(values['result']), timing)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if found.timing.replays >= replays else None

    def save(self, key: str, evaluated: Evaluated) -> None:
        """Write a result, whole or not at all."""
        values = {'result': evaluated.result.to_dict(), 'timing': evaluated.timing.to_dict()}
        write_json(self._file(key), values, indent=None, summed=True)

    def _file(self, key: str) -> Path:
        return self.folder / f'{key}.json'


def result_key(frames: InputFrames, config: EvaluationConfig) -> str:
    """Return the SHA-256 of what a result depends on: input, configuration, weights, code.

    Not the number of replays, which only the times depend on; ``ResultStore.load`` looks at it.

    Raises:
        VssError: The segmenter cannot be built.
    """
    parts = (frames.sha256, config.digest(), weights_digest(config.segmenter), code_digest(live=config.live))
    return hashlib.sha256('\n'.join(parts).encode()).hexdigest()


def evaluate_stored(
    path: Path | str,
    config: EvaluationConfig,
    folder: Path | str | None,
    on_frame: Callable[[], None] | None = None,
    *,
    inputs: Inputs,
    evaluate: Evaluate = evaluate_bag,
) -> Evaluated:
    """Return what ``evaluate_bag`` gives, from the store where it is there.

    This is what a worker runs, on this machine or another: paths go in, a result comes out.

    Args:
        path: The input.
        config: What to run.
        folder: Of the store; None for none.
        on_frame: Called for each frame that is computed.
        inputs: Holds the input open between calls.
        evaluate: What computes the result.

    Raises:
        VssError: The segmenter cannot be built.
    """
    if folder is None:
        return evaluate(path, config, on_frame, inputs)
    store = ResultStore(Path(folder))
    try:
        key = result_key(inputs.open(path, config), config)
    except (VssError, OSError):
        return evaluate(path, config, on_frame, inputs)  # which says what is wrong, of the input or the parts
    known = store.load(key, config.repeats)
    if known is not None:
        return replace(known, result=replace(known.result, path=str(path)))
    evaluated = evaluate(path, config, on_frame, inputs)
    if not evaluated.result.failed:  # a failure may be the machine's; trying again is cheap
        store.save(key, evaluated)
    return evaluated
