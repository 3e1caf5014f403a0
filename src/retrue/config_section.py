"""What all parts of a problem definition have in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of all sections: frozen, and a key nobody reads is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
