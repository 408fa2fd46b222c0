"""What was left out of a request and why it was decided as it was."""

from dataclasses import dataclass, field


@dataclass
class Choices:
    """Reasons, collected while the plan is made."""

    reasons: dict[str, str] = field(default_factory=dict)

    def pick(self, name: str, asked: object, inferred: object, why: str) -> object:
        """What was asked for, or else what was inferred, with its reason written down."""
        if asked is not None:
            return asked
        self.reasons[name] = f"{inferred}: {why}"
        return inferred


def dashed(name: str) -> str:
    """An option as it is typed."""
    return name.replace("_", "-")
