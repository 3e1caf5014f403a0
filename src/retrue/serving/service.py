"""One loaded model version, as all ways in share it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Event

from retrue.serving.booster import Booster
from retrue.serving.bundle import Bundle
from retrue.serving.log_file import LogError
from retrue.serving.metrics import Metrics
from retrue.serving.predictions import PredictionLog
from retrue.serving.records import Entry
from retrue.serving.scoring import Answer


@dataclass(frozen=True)
class Service:
    """One loaded model version with its log; `draining` is set when the server is to stop."""

    bundle: Bundle
    booster: Booster
    log: PredictionLog
    model_version: int
    boot_nonce: str
    answers_unlogged: bool = False
    """Whether an answer that cannot be logged is given all the same."""
    draining: Event = field(default_factory=Event)
    metrics: Metrics = field(default_factory=Metrics)

    async def keep(self, answer: Answer, records: Sequence[Entry]) -> None:
        """Make the records of an answer durable, or say in it that they are not.

        Raises
        ------
        LogError
            They are not in the log, and an answer without its record is not wanted.
        """
        try:
            await self.log.append(records)
        except LogError as error:
            self.excuse(answer, error)

    def excuse(self, answer: Answer, error: LogError) -> None:
        """Say in an answer that its records are not durable, or raise why it must not be given."""
        if not self.answers_unlogged:
            raise error
        answer.prediction_ids = [None] * len(answer.prediction_ids)
        self.log.note_unlogged(len(answer.prediction_ids), error)
