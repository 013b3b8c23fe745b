"""What evaluations compare: a trained model, or the files that another tool wrote."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Method(Protocol):
    """A method under evaluation. Each half adds how its outputs are asked for."""

    @property
    def name(self) -> str:
        """The name of the method in reports, tables and pages."""
