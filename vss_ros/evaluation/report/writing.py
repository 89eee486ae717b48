"""Writes the report of a folder of results: ``report.html``, its plots as PNG, ``report.json``.

Pages come from templates: each is complete in itself. The templates escape every value where it enters, so
that a name is shown as the text it is; only Matplotlib's drawings and the two files of style and script, all
made here, are markup.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vss_ros.evaluation.report import plots
from vss_ros.evaluation.report.figures import number
from vss_ros.evaluation.report.findings import read_findings
from vss_ros.evaluation.report.reliability import reliability
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
            'reliability': reliability(entry),
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
        closeups=[closeup(e, findings, drawn) for e, drawn in zip(findings.shown, close, strict=True)],
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


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader('vss_ros.evaluation.report'),
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined,
    )  # fmt: skip
    environment.filters |= {
        'number': number,
        'breakable': breakable,
        'base64': lambda b: b64encode(b).decode(),
    }
    return environment


def render(template: str, **values: Any) -> str:
    """Return a page: a file in ``templates`` that extends ``page.html``, filled with values.

    Its content security policy lets in only the styles, the pictures and the one script that are in it: no
    name of a bag or of a configuration can run, and nothing is ever fetched.
    """
    style, script = (Markup(_templates().get_template(file).render()) for file in ('style.css', 'sort.js'))
    hashed = b64encode(sha256(script.encode()).digest()).decode()
    page = _templates().get_template(template)
    return page.render(style=style, script=script, script_hash=hashed, **values) + '\n'


def breakable(name: str) -> Markup:
    """Return a name that may break after each of its words, as narrow columns need."""
    return Markup('<wbr>').join(re.split(r'(?<=[_+/])', name))
