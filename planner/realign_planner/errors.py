"""The planner's error tree: promises that a caller broke.

PlannerError
├── ClusterFileError    a cluster description that cannot be read
└── SettingError        a `--set` key or value that no threshold knows

"Nothing fits", an unknown model and an unknown node are answers, not errors: see `models.UnknownModel`,
`plan.BadRequest` and `plan.Plan.fits`.
"""

from __future__ import annotations


class PlannerError(Exception):
    """What the caller gave cannot be planned with; the text says what, and what to do."""


class ClusterFileError(PlannerError):
    """A cluster file is not TOML, or a key in it is missing, misspelt or out of range."""


class SettingError(PlannerError):
    """A threshold setting names no threshold or is no number."""
