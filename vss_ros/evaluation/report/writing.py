"""Writes the report of a folder of results: ``report.html``, its plots as PNG, ``report.json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vss_ros.evaluation.report import plots
from vss_ros.evaluation.report.findings import read_findings
from vss_ros.evaluation.report.page import render
from vss_ros.evaluation.report.sections import closeup, machine_note, options, overview
from vss_ros.evaluation.sweep.verdict import ACCURACY_LOSS, LATENCY_SHARE, sentences
from vss_ros.files import write_json, write_text, write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from vss_ros.evaluation.report.drawing import Drawing
    from vss_ros.evaluation.report.findings import Findings

PAGE, MACHINES, PLOTS = 'report.html', 'report.json', 'plots'


def write_report(folder: Path, look_at: Sequence[str] = ()) -> Path:
    """Write or refresh the report of a folder of results; nothing else is read than what lies in it.

    Args:
        folder: What ``vss evaluate -o`` wrote.
        look_at: Names of configurations to look at closely; by default those that the verdict takes.

    Returns:
        The page.

    Raises:
        VssError: The folder holds no results, or not of these configurations.
    """
    findings = read_findings(folder, look_at)
    over = {
        'accuracy_latency': plots.accuracy_against_latency(findings),
        'pda': plots.accuracy_by_distance(findings),
        'cca_flops': plots.accuracy_against_cost(findings, 'flops'),
        'cca_ms': plots.accuracy_against_cost(findings, 'ms'),
        'classes': plots.accuracy_by_class(findings),
    }
    close = [
        {
            'timeline': plots.timeline(entry, findings.score_name),
            'latencies': plots.latencies(entry),
            'distances': plots.distances(entry),
        }
        for entry in findings.shown
    ]
    _write_plots(folder / PLOTS, [drawing for drawings in (over, *close) for drawing in drawings.values()])
    write_json(folder / MACHINES, for_machines(findings), indent=1)
    page = render(
        'report.html',
        title=findings.title,
        findings=findings,
        score=findings.score_name,
        limits={'latency': f'{100 * LATENCY_SHARE:.0f}', 'loss': f'{100 * ACCURACY_LOSS:.0f}'},
        most_frames=plots.MOST_FRAMES,
        over=over,
        closeups=[
            closeup(entry, findings, drawn) for entry, drawn in zip(findings.shown, close, strict=True)
        ],
        **overview(findings),
    )
    write_text(folder / PAGE, page)
    return folder / PAGE


def _write_plots(folder: Path, drawings: Sequence[Drawing | None]) -> None:
    """Write the plots, and remove those of a report before."""
    files = {folder / f'{drawing.name}.png': drawing.png for drawing in drawings if drawing is not None}
    for old in set(folder.glob('*.png')) - set(files):
        old.unlink()
    for file, data in files.items():
        write_whole(file, data)


def for_machines(findings: Findings) -> dict[str, Any]:
    """Return the verdict and the table's figures, in the table's units."""
    verdict, shown = findings.verdict, findings.columns
    return {
        'verdict': None if verdict is None else verdict.to_dict(),
        'sentences': [] if verdict is None else sentences(verdict, findings.evaluation.candidates),
        'score': findings.score_name,
        'times': machine_note(findings),
        'units': {column.key: column.unit for column in shown},
        'configurations': [
            {'name': entry.name, 'roles': list(entry.roles), 'options': ' '.join(options(entry))}
            | {column.key: entry.figure(column) for column in shown}
            for entry in findings.configurations
        ],
        'refused': findings.evaluation.refused,
    }
