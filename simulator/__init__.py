"""A simulated street drive with exact labels (needs ``pip install vss_ros[clips]``)."""

from simulator.drive import render_drive
from simulator.labels import Label, StreetFrame

__all__ = ['Label', 'StreetFrame', 'render_drive']
