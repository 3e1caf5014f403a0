"""A simulated loop: checks, an event bus and retrainings that crash, on a real ledger in memory.

`python -m tests.unit.loop_schedules SEED` replays one schedule and prints what happened. A schedule
is its seed and nothing else: the clock, the processes and the bus are simulated, the ledger and
what decides about events are the real ones.
"""

import json
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, get_args
from unittest.mock import patch

import sqlalchemy as sa

from retrue import event_key, ledger
from retrue.errors import LedgerError, RequestError
from retrue.events import DRIFT_DETECTED, RETRAIN_REQUESTED
from retrue.ledger import Backoff, Check, Claim, Holder, Ledger, leases
from retrue.ledger.store import TABLES
from retrue.retraining_events import Asked, asked, signature

KEY = "k" * 32
LEASE_S = 60.0
BACKOFF = Backoff(max_attempts=2, failed_s=20, refused_s=600)
N_STEPS = 30
WINDOWS = 5
QUIET_ROUNDS = 40
Outcome = Literal["promoted", "refused", "rejected", "failed"]
Forgery = Literal[
    "unknown decision",
    "not a drift",
    "unsigned",
    "wrong key",
    "wrong problem",
    "stale",
    "changed",
    "no event",
]


class BrokenError(AssertionError):
    """An invariant does not hold."""


@dataclass
class Retrainer:
    """One process that an event started."""

    steps: Iterator[str]
    holder: Holder
    event: str
    at: str = "started"


@dataclass
class World:
    """All there is in one schedule."""

    seed: int
    book: Ledger
    now: datetime = datetime(2013, 4, 1, tzinfo=UTC)
    quiet: bool = False
    bus: list[tuple[float, int, str]] = field(default_factory=list)
    alive: list[Retrainer] = field(default_factory=list)
    dead: set[int] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    broken_attempts: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    served: int = 0
    fence: int = 0
    trace: list[str] = field(default_factory=list)
    n_events: int = 0
    n_pids: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.problem = f"p{self.seed}"

    def tell(self, line: str) -> None:
        self.trace.append(f"{self.now:%m-%dT%H:%M:%S} {line}")

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise BrokenError(f"seed {self.seed}: {what}")

    # What drives a schedule

    def run(self) -> None:
        for _ in range(N_STEPS):
            self.step()
        self.quiet = True
        for _ in range(QUIET_ROUNDS):
            self.wait(3600)
            self.check()
            while self.bus or self.alive:
                self.deliver()
                while self.alive:
                    self.advance(self.alive[0])
                self.wait(LEASE_S)
            if all(stands.state == "exhausted" for _, stands in self.open()):
                break
        self.up()
        self.judge()

    def step(self) -> None:
        actions = {
            self.check: 3,
            self.deliver: 4,
            self.advance_one: 20,
            self.crash: 1.8,
            self.stop_for_long: 1.5,
            self.forge: 1.5,
            self.by_hand: 0.3,
            self.request: 0.6,
        }
        self.wait(self.random.choice([0, 1, 5, 30]))
        (act,) = self.random.choices(list(actions), list(actions.values()))
        act()

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # Checks and events

    def check(self) -> None:
        """A scheduled check: decide on a window, then announce what is due."""
        number = WINDOWS - 1 if self.quiet else self.random.randrange(WINDOWS)
        start = date(2013, 4, 1) + timedelta(days=number)
        verdict = "drift"
        if number == 1:
            verdict = "no drift"
        elif not self.quiet and self.random.random() < 0.2:
            verdict = "cannot tell"
        if not self.quiet or self.random.random() < 0.5:
            ledger.record_check(
                self.book,
                self.problem,
                1 + number % 2,
                start,
                start + timedelta(days=30),
                verdict=verdict,  # type: ignore[arg-type]
                report_json=json.dumps({"reason": f"window {number}"}),
            )
        for found in ledger.to_announce(self.open()):
            self.send(DRIFT_DETECTED, {"decision": found.trigger_key})

    def open(self) -> list[tuple[Check, ledger.Standing]]:
        return ledger.undone(self.book, self.problem, BACKOFF)

    def send(self, event: str, payload: dict[str, Any]) -> None:
        """Put an event on the bus, which loses, doubles, delays and so reorders."""
        copies = 1 if self.quiet else self.random.choice([0, 1, 1, 1, 2, 3])
        self.seen["lost"] += copies == 0
        self.seen["doubled"] += copies > 1
        for _ in range(copies):
            delay = 0.0 if self.quiet else self.random.choice([0, 0, 3, 60, 400])
            self.n_events += 1
            # The server's clock tells when it took the event, however late it hands it on.
            body = {"event": event, "received": self.now.isoformat(), "payload": payload}
            due = self.now.timestamp() + delay
            self.bus.append((due, self.n_events, json.dumps(body)))

    def deliver(self) -> None:
        """Start a process for each event that is due, in any order."""
        due = [one for one in self.bus if one[0] <= self.now.timestamp() or self.quiet]
        self.random.shuffle(due)
        for one in due:
            self.bus.remove(one)
            self.start(one[2])

    def start(self, event: str) -> None:
        self.n_pids += 1
        host = self.random.choice(["here", "far"])
        holder = Holder(host, self.n_pids, "boot:1")
        self.alive.append(Retrainer(self.retrain(event, holder), holder, event))

    def forge(self) -> None:
        kind: Forgery = self.random.choice(get_args(Forgery))
        self.seen[f"forged: {kind}"] += 1
        known = ledger.checks(self.book, self.problem)
        plain = {"decision": "theirs", "until": "2013-05-01", "sent_at": self.now.isoformat()}
        right = signature(KEY.encode(), self.problem, plain)
        if kind == "unknown decision":
            self.send(DRIFT_DETECTED, {"decision": "forged", "until": "2099-01-01"})
        elif kind == "not a drift":
            for one in [one for one in known if one.verdict != "drift"][:1]:
                self.send(DRIFT_DETECTED, {"decision": one.trigger_key})
        elif kind == "unsigned":
            self.send(RETRAIN_REQUESTED, plain)
        elif kind == "wrong key":
            self.send(
                RETRAIN_REQUESTED, plain | {"signature": signature(b"x", self.problem, plain)}
            )
        elif kind == "wrong problem":
            other = signature(KEY.encode(), "other", plain)
            self.send(RETRAIN_REQUESTED, plain | {"signature": other})
        elif kind == "stale":
            old = plain | {"sent_at": (self.now - timedelta(hours=1)).isoformat()}
            forged = signature(KEY.encode(), self.problem, old)
            self.send(RETRAIN_REQUESTED, old | {"signature": forged})
        elif kind == "changed":
            self.send(RETRAIN_REQUESTED, plain | {"until": "2013-06-01", "signature": right})
        else:
            self.bus.append((self.now.timestamp(), self.n_events, "{"))
        # A true decision with another day: what it says beside the key must not count.
        for one in [one for one in known if one.verdict == "drift"][:1]:
            self.send(DRIFT_DETECTED, {"decision": one.trigger_key, "until": "2099-01-01"})

    def request(self) -> None:
        """Another system asks, signed; the bus doubles it as it does all else."""
        self.seen["signed"] += 1
        plain = {"decision": "signed", "until": "2013-05-02", "sent_at": self.now.isoformat()}
        right = signature(KEY.encode(), self.problem, plain)
        self.send(RETRAIN_REQUESTED, plain | {"signature": right})

    def by_hand(self) -> None:
        self.start("")

    # A retraining

    def advance_one(self) -> None:
        if self.alive:
            self.advance(self.random.choice(self.alive))

    def advance(self, one: Retrainer) -> None:
        try:
            one.at = next(one.steps)
            self.tell(f"{one.holder.host} {one.holder.pid} {one.at}")
        except StopIteration:
            self.alive.remove(one)
            self.dead.add(one.holder.pid)

    def crash(self) -> None:
        """A process is gone between two steps, whichever they are."""
        if self.alive:
            one = self.random.choice(self.alive)
            self.seen[f"crashed: {one.at}"] += 1
            self.tell(f"{one.holder.host} {one.holder.pid} dies after {one.at}")
            self.alive.remove(one)
            self.dead.add(one.holder.pid)

    def stop_for_long(self) -> None:
        """All stand still for longer than a lease, and then go on as if nothing had been."""
        self.seen["stood still"] += bool(self.alive)
        self.wait(LEASE_S + 1)

    def retrain(self, event: str, holder: Holder) -> Iterator[str]:
        """`flows.retraining` step by step; each `yield` is a place to crash or to stand still."""
        told = Asked(f"run:{holder.pid}", None, "by hand")
        if event:
            try:
                told = asked(event, self.problem, self.book)
            except RequestError:
                self.seen["refused"] += 1
                return
        yield "told"
        key = told.trigger_key
        claim = ledger.claim_retraining(
            self.book, self.problem, key, holder, BACKOFF if event else None
        )
        self.seen[claim.outcome] += 1
        if claim.outcome != "claimed":
            return
        self.claimed(claim, told)
        yield "claimed"
        try:
            yield from self.work(claim, holder)
        except LedgerError as error:
            self.seen["stale or busy"] += 1
            self.finish(claim, "failed", str(error))

    def work(self, claim: Claim, holder: Holder) -> Iterator[str]:
        """Train, deploy what was promoted, and finish."""
        outcome = self.outcome()
        for place in ("ingested", "fitted", "judged"):
            if place == "fitted":
                self.beat(claim)
            yield place
        if outcome == "promoted":
            yield from self.deploy(claim, holder)
        self.finish(claim, outcome, "")
        yield "finished"

    def deploy(self, claim: Claim, holder: Holder) -> Iterator[str]:
        version = claim.mine.id + 1  # the same decision gives the same version
        turn = ledger.start_deployment(
            self.book,
            self.problem,
            version,
            f"{version:064d}",
            holder,
            for_retraining=claim.mine,
        )
        self.expect(self.claims[-1] is claim, "a deployment for a claim that was lost")
        try:
            yield "deployment claimed"
            ledger.check_token(self.book, "deployment", turn.id, turn.token)
            yield "about to switch"
            if turn.token < self.fence:
                raise LedgerError("a newer token", "fenced off", "proxy", "stop")
            self.served, self.fence = version, turn.token
            yield "switched"
            ledger.finish_deployment(self.book, turn.id, turn.token, "serving")
            yield "settled"
        except LedgerError:
            self.seen["deployment lost"] += 1
            raise

    def outcome(self) -> Outcome:
        kinds: list[Outcome] = ["promoted", "refused", "rejected", "failed"]
        return self.random.choices(kinds, [4, 3, 1, 0 if self.quiet else 4])[0]

    def beat(self, claim: Claim) -> None:
        """As `ledger.beating` does: a beat that fails is left out."""
        try:
            ledger.heartbeat(self.book, "retraining", claim.mine.id, claim.mine.token)
        except LedgerError:
            self.seen["late beat"] += 1

    def claimed(self, claim: Claim, told: Asked) -> None:
        """What must hold for whoever was let in."""
        mine = claim.mine
        tokens = [one.mine.token for one in self.claims]
        self.expect(all(mine.token > token for token in tokens), "a token did not rise")
        self.expect(not self.answers[mine.trigger_key], f"{mine.trigger_key} was answered before")
        decisions = {one.trigger_key: one for one in ledger.checks(self.book, self.problem)}
        if (found := decisions.get(mine.trigger_key)) is not None:
            self.expect(found.verdict == "drift", "a retraining without a drift decision")
            end = date.fromisoformat(found.window_end[:10])
            self.expect(told.until == end, "the day of a forged event was taken")
        else:
            named = mine.trigger_key.startswith("run:") or mine.trigger_key == "request:signed"
            self.expect(named, f"{mine.trigger_key}: a forged event was served")
        self.claims.append(claim)

    def finish(self, claim: Claim, outcome: Outcome, details: str) -> None:
        """Finish as the flow does; whoever lost the claim must not be able to."""
        mine = claim.mine
        holds = self.claims[-1] is claim
        before = [] if holds else ledger.retrainings(self.book, self.problem)
        try:
            ledger.finish_retraining(
                self.book, mine.id, mine.token, outcome, json.dumps({"error": details})
            )
        except LedgerError:
            self.expect(not holds, "the holder of the claim could not finish")
            self.seen["late finish"] += 1
            return
        if not holds:
            # Told that it died, it says the same: that it failed.
            after = ledger.retrainings(self.book, self.problem)
            self.expect(outcome == "failed" and after == before, "a stale holder finished")
            return
        if outcome == "failed":
            self.broken_attempts[mine.trigger_key] += 1
        else:
            self.answers[mine.trigger_key] += 1

    # The end

    def up(self) -> None:
        """`retrue up`: what the ledger names serves again, if a switch was cut off."""
        token, is_held = ledger.deployment_turn(self.book, self.problem)
        should = ledger.should_serve(self.book, self.problem)
        self.expect(not is_held, "a deployment is held by nobody who lives")
        if should is not None:
            self.served, self.fence = should.model_version, max(self.fence, token)

    def judge(self) -> None:
        """Safety and liveness once the faults have ended."""
        rows = ledger.retrainings(self.book, self.problem)
        finished = Counter(one.trigger_key for one in rows if one.status in _DONE)
        self.expect(max(finished.values(), default=0) <= 1, "two rows for one trigger")
        self.expect(finished == +self.answers, "the ledger and the world differ on answers")
        self.expect(max(self.answers.values(), default=0) <= 1, "a decision was answered twice")
        serving = [
            one for one in ledger.history(self.book, self.problem) if one.status == "serving"
        ]
        self.expect(len(serving) <= 1, f"{len(serving)} versions serve")
        if serving:
            self.expect(self.served == serving[0].model_version, "another version serves")
        for check, stands in self.open():
            tried = next((one.attempts for one in rows if one.trigger_key == check.trigger_key), 0)
            gone = stands.state == "exhausted" and tried >= BACKOFF.max_attempts
            self.expect(gone, f"{check.trigger_key} was forgotten: {stands.told}")
            self.seen["exhausted at the end"] += 1
        decided = [c for c in ledger.checks(self.book, self.problem) if c.verdict == "drift"]
        self.seen["decisions"] += len(decided)
        self.seen["answered by their own"] += sum(self.answers[c.trigger_key] for c in decided)


_DONE = ("promoted", "refused", "rejected")


def new_ledger() -> sa.Engine:
    """A real SQLite ledger in memory, for all schedules of a process."""
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    TABLES.create_all(engine)
    return engine


def play(seed: int, engine: sa.Engine) -> World:
    """Run one schedule; `BrokenError` tells which invariant does not hold."""
    world = World(seed, Ledger(engine, lambda: world.now, LEASE_S))
    with (
        # The process table of the simulated machines.
        patch.object(leases, "is_local", lambda holder: holder.host == "here"),
        patch.object(leases, "is_dead", lambda holder: holder.pid in world.dead),
        patch.dict(os.environ, {event_key.VARIABLE: KEY}),
    ):
        try:
            world.run()
        except BrokenError as error:
            replay = f"python -m tests.unit.loop_schedules {seed}"
            lines = "\n".join(world.trace[-30:])
            raise BrokenError(f"{error}\nreplay with `{replay}`\n{lines}") from error
    return world


if __name__ == "__main__":
    played = play(int(sys.argv[1]), new_ledger())
    print("\n".join(played.trace))  # noqa: T201
    print(dict(played.seen))  # noqa: T201
