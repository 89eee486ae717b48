"""Errors whose message is meant for the person in front of the robot."""

from __future__ import annotations


class VssError(Exception):
    """Something the user can put right; the message says what was expected, what came, what to do."""
