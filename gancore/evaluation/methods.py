"""What evaluations compare: a trained model, or the files that another tool wrote."""

from typing import Protocol, runtime_checkable


@runtime_checkable
class Method(Protocol):
    """A method under evaluation; vidgan and voxgan add how its outputs are obtained."""

    @property
    def name(self) -> str:
        """The name of the method in reports, tables and pages."""
