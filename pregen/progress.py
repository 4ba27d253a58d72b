"""What long work tells of how far it is: `Progress`, which the command line shows (`pregen.cli.progress`)."""

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]  # the name of a step, how much is done, and of how much
