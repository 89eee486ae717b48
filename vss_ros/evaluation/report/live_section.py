"""The report's section on live runs: what became of the images that were played."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vss_ros.evaluation.report.markup import NONE, element, number
from vss_ros.evaluation.report.page import section, table, wide
from vss_ros.evaluation.report.text_table import slowest_rate

if TYPE_CHECKING:
    from vss_ros.evaluation.report.findings import Findings
    from vss_ros.evaluation.report.markup import Markup

CAUSES = (
    'Not answered are images that were overwritten (a newer one came before the node took them), lost in '
    'transport (they never reached it), rejected (damaged), ended in errors, waited for an I-frame of their '
    'video, or whose mask was lost on its way to the subscriber.'
)


def became_of_images(findings: Findings) -> Markup | None:
    """Return drops by cause and the speed that was kept, one live configuration a row; None without any."""
    live = [entry for entry in findings.configurations if entry.result.get('live')]
    if not live:
        return None
    causes = sorted({cause for entry in live for cause in entry.result['drops']})
    heads = ['configuration', 'images', 'answered', *(cause.replace('_', ' ') for cause in causes)]
    rows = []
    for entry in live:
        drops, frames = entry.result['drops'], entry.result['frames']
        counts = [frames + sum(drops.values()), frames, *(drops.get(cause, 0) for cause in causes)]
        kept = slowest_rate(entry.timing)
        rates = [number(entry.result['rate'], 2), NONE if kept is None else number(kept, 2)]
        rows.append([entry.name, *map(str, counts), *rates])
    return section(
        'What became of the images',
        wide(
            table('Images played, by what became of them', [*heads, 'speed asked for', 'speed kept'], rows),
            'Table of images by what became of them',
        ),
        element('p', CAUSES, class_='soft'),
    )
