"""Machine: whose daemon it is and where its parts lie, as the service files need to know it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from realign_client.endpoint import DATA_DIR_VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The daemon runs as the owner, so that it sees the owner's models and the owner's client can open its socket."""

    user: str
    home: Path
    python: Path
    data_dir: Path

    @property
    def log(self) -> Path:
        """The daemon's own log."""
        return self.data_dir / "realignd.log"

    @property
    def last_words(self) -> Path:
        """Where launchd puts what the daemon says outside its log, such as why it cannot start."""
        return self.data_dir / "realignd.out"

    def values(self) -> Mapping[str, str]:
        """What stands for each placeholder of a template."""
        path = f"{self.python.parent}:/opt/homebrew/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {
            "@USER@": self.user,
            "@HOME@": str(self.home),
            "@PYTHON@": str(self.python),
            "@DATA_DIR@": str(self.data_dir),
            "@LAST_WORDS@": str(self.last_words),
            "@PATH@": path,
        }


def this_machine() -> Machine:
    """This machine, owned by whoever runs the command, or whoever ran sudo."""
    name = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    owner = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    home = Path(owner.pw_dir) if name else Path.home()
    named = os.environ.get(DATA_DIR_VARIABLE)
    return Machine(
        user=owner.pw_name,
        home=home,
        python=Path(sys.executable),
        data_dir=Path(named).expanduser().absolute() if named else home / ".realign",
    )


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced."""
    for placeholder, value in values.items():
        text = text.replace(placeholder, value)
    return text
