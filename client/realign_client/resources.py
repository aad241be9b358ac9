"""Resource: a file that ships with the client: inside the package when installed, in its own folder in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parent


def resource(folder: str, name: str) -> Path:
    """The path of a file in `folder` ("examples" or "launchd"). Both are put into the package when a wheel is built."""
    shipped = PACKAGE / folder / name
    return shipped if shipped.exists() else PACKAGE.parent.parent / folder / name
