"""Command line: ``python -m simulator``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulator.export import CLIP_CHANGE, CLIP_FRAMES, CLIP_SEED, Stretch, write_bag, write_images
from vss_ros.errors import VssError

_EXAMPLES = """\
examples:
  python -m simulator --seed 7 --frames 60 -o drive
  python -m simulator --seed 100 --drives 30 --frames 112 --every 8 --workers 4 -o street
  python -m simulator --seed 300 --drives 20 --frames 24 --varied --workers 2 -o varied
  python -m simulator --bag clip           the clip that comes with the package
  python -m simulator --seed 3 --frames 300 --scene-change -1 --bag clip
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        'python -m simulator',
        description='Render simulated street drives with exact labels (needs pip install pybullet).',
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        '-o', '--output', type=Path, metavar='DIR', help='write DIR/images and DIR/labels (PNG)'
    )
    target.add_argument('--bag', type=Path, metavar='DIR', help='write one drive as an MCAP bag')
    parser.add_argument('--seed', type=int, default=CLIP_SEED, help='(first) drive (default: %(default)s)')
    parser.add_argument(
        '--frames', type=int, default=CLIP_FRAMES, help='length of a drive (default: %(default)s)'
    )
    parser.add_argument('--every', type=int, default=1, metavar='K', help='keep every Kth frame')
    parser.add_argument('--drives', type=int, default=1, metavar='N', help='images: seeds SEED to SEED+N-1')
    parser.add_argument('--workers', type=int, default=1, help='images: number of processes')
    parser.add_argument(
        '--scene-change',
        type=int,
        default=CLIP_CHANGE,
        metavar='FRAME',
        help='bag: frame from which on the drive goes on elsewhere, -1 for none (default: %(default)s)',
    )
    parser.add_argument('--quality', type=int, default=75, help='bag: JPEG quality (default: %(default)s)')
    parser.add_argument('--size', type=int, nargs=2, default=(360, 480), metavar=('ROWS', 'COLUMNS'))
    parser.add_argument('--fps', type=float, default=15.0)
    parser.add_argument(
        '--varied', action='store_true', help='draw haze, speed (0 to 14 m/s), traffic and turns more widely'
    )
    return parser.parse_args()


def main() -> int:
    """Run the command line; returns the exit status."""
    options = _arguments()
    stretch = Stretch(options.frames, options.every, tuple(options.size), options.fps, options.varied)
    try:
        if options.bag:
            change = options.scene_change if options.scene_change > 0 else None
            write_bag(options.bag, options.seed, stretch, scene_change_at=change, quality=options.quality)
        else:
            seeds = range(options.seed, options.seed + options.drives)
            write_images(options.output, seeds, stretch, workers=options.workers)
    except (VssError, ImportError) as error:
        sys.stderr.write(f'{error}\n')
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
