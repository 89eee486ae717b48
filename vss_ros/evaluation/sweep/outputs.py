"""The files of an evaluation: ``results.json``, equal in every run, ``timing.json``, decisions as CSV."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from vss_ros import __version__
from vss_ros.errors import VssError
from vss_ros.evaluation.replay.frame_pictures import clear_pictures, worst_pictures, write_pictures
from vss_ros.evaluation.rows import FrameRow
from vss_ros.evaluation.sweep.summary import summarise, summarise_timing
from vss_ros.evaluation.sweep.verdict import Candidate, Verdict, candidates, judge
from vss_ros.files import read_summed, write_csv, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vss_ros.evaluation.replay.result import Evaluated, FramePicture
    from vss_ros.evaluation.sweep.configuration import EvaluationConfig
    from vss_ros.evaluation.sweep.sweep import Refused

FORMAT = 1
"""Version of the files' layout."""
STORE = 'store'
"""Folder of the results by content, beside the files."""
RESULTS, TIMING, DECISIONS = 'results.json', 'timing.json', 'decisions'
DECISION_COLUMNS = ('input', *(entry.name for entry in fields(FrameRow)))
"""Of the CSV files, one line a frame."""


@dataclass(frozen=True)
class Evaluation:
    """A whole evaluation: every configuration over all inputs."""

    results: list[dict[str, Any]]
    """Of ``summarise``, one a configuration."""
    timings: list[dict[str, Any]]
    """Of ``summarise_timing``, in the same order."""
    refused: list[dict[str, Any]]
    """Name, config and reason of what cannot run."""
    pictures: list[list[FramePicture | None]] = field(default_factory=list)
    """Of each configuration's worst frames; none once it was written and read again."""

    @classmethod
    def of(
        cls,
        evaluated: Sequence[tuple[EvaluationConfig, Sequence[Evaluated]]],
        refused: Sequence[Refused] = (),
    ) -> Evaluation:
        """Sum up each configuration with its results over the inputs, which are in the same order for all."""
        results = [[entry.result for entry in found] for _, found in evaluated]
        summaries = [summarise(config, found) for (config, _), found in zip(evaluated, results, strict=True)]
        return cls(
            summaries,
            [summarise_timing(config.name, found) for config, found in evaluated],
            [{'name': r.config.name, 'config': r.config.to_dict(), 'reason': r.reason} for r in refused],
            [worst_pictures(summary, found) for summary, found in zip(summaries, results, strict=True)],
        )

    @property
    def candidates(self) -> list[Candidate]:
        """What there is to choose from."""
        return candidates(self.results, self.timings)

    @property
    def verdict(self) -> Verdict | None:
        """Which configuration to take; None where none ran the network on every frame."""
        return judge(self.candidates, self.score_name)

    @property
    def score_name(self) -> str:
        """``mIoU``, or ``agreement`` (with the per-frame network) where no input has true masks."""
        return 'mIoU' if any(result.get('miou') is not None for result in self.results) else 'agreement'

    @property
    def deterministic(self) -> dict[str, Any]:
        """What ``results.json`` holds."""
        about = {'format': FORMAT, 'vss_ros': __version__}
        return about | {'configurations': self.results, 'refused': self.refused}

    @property
    def measured(self) -> dict[str, Any]:
        """What ``timing.json`` holds."""
        verdict = None if self.verdict is None else self.verdict.to_dict()
        return {'format': FORMAT, 'verdict': verdict, 'configurations': self.timings}

    def merged(self) -> list[dict[str, Any]]:
        """Return results and timings in one, for ``--json``."""
        return [
            {name: value for name, value in timing.items() if name != 'inputs'}
            | result
            | {'inputs': [a | b for a, b in zip(result['inputs'], timing['inputs'], strict=True)]}
            for result, timing in zip(self.results, self.timings, strict=True)
        ]


def check_folder(folder: Path) -> None:
    """Refuse to write among files that are not an evaluation's.

    Raises:
        VssError: The folder holds something else, or is none.
    """
    if folder.exists() and not folder.is_dir():
        raise VssError(f'expected a folder for the results, got the file {folder}; choose another name')
    if folder.is_dir() and not (folder / STORE).is_dir() and any(folder.iterdir()):
        raise VssError(f'{folder} holds no earlier evaluation but other files; choose another folder')


def write_evaluation(evaluation: Evaluation, folder: Path) -> None:
    """Write all files, each whole or not at all; ``results.json`` last."""
    for result in evaluation.results:
        file = folder / DECISIONS / f'{result["name"].replace("/", "_")}.csv'
        write_csv(file, DECISION_COLUMNS, result['decisions'])
    clear_pictures(folder)
    for number, pictures in enumerate(evaluation.pictures):
        write_pictures(folder, number, evaluation.results[number]['name'], pictures)
    write_json(folder / TIMING, evaluation.measured, indent=1, summed=True)
    write_json(folder / RESULTS, evaluation.deterministic, indent=1, summed=True)


def read_evaluation(folder: Path) -> Evaluation:
    """Read what ``write_evaluation`` wrote.

    Raises:
        VssError: The files are missing or of another layout.
    """
    try:
        results, timing = (read_summed(folder / name) for name in (RESULTS, TIMING))
    except (OSError, ValueError) as error:
        raise VssError(
            f'expected the results of `vss evaluate -o DIR` in {folder}, got: {error}; run it again'
        ) from error
    if results.get('format') != FORMAT or timing.get('format') != FORMAT:
        got = f'{results.get("format")} and {timing.get("format")}'
        raise VssError(f'{folder}: expected files of format {FORMAT}, got {got}; run vss evaluate again')
    try:
        evaluation = Evaluation(results['configurations'], timing['configurations'], results['refused'])
        evaluation.verdict, evaluation.merged()  # raise where what they read is missing
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise VssError(
            f'{folder}: expected results as this version writes them, got {error!r}; evaluate again'
        ) from error
    return evaluation
