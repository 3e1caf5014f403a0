"""The ledger against a model, over interleavings of living, dying and silent holders."""

import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from retrue import ledger
from retrue.errors import LedgerError

KEYS = st.sampled_from(["a", "b", "c"])
LEASE_S = 60
DEAD = replace(ledger.this_process(), created="gone")
HOLDERS = {"alive": ledger.this_process(), "dead": DEAD, "far": ledger.Holder("far", 1, "x:1")}


class Retrainings(RuleBasedStateMachine):
    """One problem, three triggers; every token ever given is kept and tried."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.time = datetime(2013, 4, 1, tzinfo=UTC)
        url = f"sqlite:///{Path(self.folder.name) / 'ledger.db'}"
        self.book = ledger.connect(url, lambda: self.time, LEASE_S)
        self.given: list[tuple[int, int, str]] = []
        self.running: tuple[int, int, str] | None = None
        self.who = ""
        self.beat = self.time
        self.done: dict[str, str] = {}
        self.ids: dict[str, int] = {}

    def held(self) -> bool:
        silent = self.time - self.beat > timedelta(seconds=LEASE_S)
        lost = self.who == "dead" or (self.who == "far" and silent)
        return self.running is not None and not lost

    @rule(key=KEYS, who=st.sampled_from(sorted(HOLDERS)))
    def claim(self, key: str, who: str) -> None:
        claim = ledger.claim_retraining(self.book, "flights", key, HOLDERS[who])
        if key in self.done:
            assert (claim.outcome, claim.retraining.status) == ("finished", self.done[key])
        elif self.held():
            assert claim.outcome == "busy"
            assert self.running is not None
            assert claim.retraining.id == self.running[0]
        else:
            mine = claim.retraining
            assert claim.outcome == "claimed"
            assert mine.id == self.ids.setdefault(key, mine.id), "a trigger keeps its row"
            assert all(mine.token > token for _, token, _ in self.given), "tokens only rise"
            self.running, self.who, self.beat = (mine.id, mine.token, key), who, self.time
            self.given.append(self.running)

    @precondition(lambda self: self.given)
    @rule(data=st.data(), status=st.sampled_from(["promoted", "refused", "rejected", "failed"]))
    def finish(self, data: st.DataObject, status: str) -> None:
        row_id, token, key = data.draw(st.sampled_from(self.given))
        before = ledger.retrainings(self.book, "flights")
        known = {(r.id, r.token, r.status) for r in before}
        try:
            ledger.finish_retraining(self.book, row_id, token, status)  # type: ignore[arg-type]
        except LedgerError:
            assert (row_id, token, key) != self.running
            assert ledger.retrainings(self.book, "flights") == before
            return
        if (row_id, token, key) == self.running:
            self.running = None
            if status != "failed":
                self.done[key] = status
        else:
            assert (row_id, token, status) in known, "only what is known may be told again"
            assert ledger.retrainings(self.book, "flights") == before

    @precondition(lambda self: self.given)
    @rule(data=st.data())
    def heartbeat(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.given))
        try:
            ledger.heartbeat(self.book, "retraining", claim[0], claim[1])
        except LedgerError:
            assert claim != self.running
        else:
            assert claim == self.running
            self.beat = self.time

    @rule(seconds=st.sampled_from([1, LEASE_S - 1, LEASE_S + 1]))
    def wait(self, seconds: int) -> None:
        self.time += timedelta(seconds=seconds)

    @invariant()
    def at_most_one_runs(self) -> None:
        running = [r for r in ledger.retrainings(self.book, "flights") if r.status == "running"]
        assert len(running) == (0 if self.running is None else 1)

    def teardown(self) -> None:
        self.folder.cleanup()


TestRetrainings = Retrainings.TestCase
TestRetrainings.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
