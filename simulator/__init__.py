"""A simulated street drive with exact labels; not installed, run from a checkout.

``tools/run python -m simulator --seed 900 --drives 8 --frames 80 --varied -o varied`` writes images and
labels to train on, ``tools/run python -m simulator --bag clip`` the embedded clip. The renderer is pybullet
(``tools/run pip install pybullet``).

To read: ``labels`` (what a frame is; ``truth``: where everything in it is), ``export`` (folders and bags),
``drive`` (one drive, frame by frame); then what a drive is made of: ``layout`` and ``conditions`` (the plan
of a quarter, and how drives differ), ``scene`` (all that stands still: ``houses``, ``trees``, ``stock``),
``actors`` (all that moves: ``vehicles``, ``people``) and ``ground``; and how it is drawn: ``mesh``,
``textures``, ``decals``, ``light``, ``shade``, ``camera``.
"""

from simulator.drive import render_drive
from simulator.labels import Label, StreetFrame

__all__ = ['Label', 'StreetFrame', 'render_drive']
