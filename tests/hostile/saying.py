"""What is said of an attack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Says:
    """What the refusal says, as a pattern; "" where the attack is taken as Docker takes it, and does no harm."""

    usually: str = ""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """The same for those ways in that say something else."""

    def through(self, way: str) -> str:
        """Give what is said by one way in."""
        return self.elsewhere.get(way, self.usually)
