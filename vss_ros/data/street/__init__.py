"""A simulated street drive with exact labels (needs ``pip install vss_ros[clips]``)."""

from vss_ros.data.street.drive import render_drive
from vss_ros.data.street.labels import Label, StreetFrame

__all__ = ['Label', 'StreetFrame', 'render_drive']
