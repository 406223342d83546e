"""A whole Farwatch in one thread and on a virtual clock, played from a seed: targets that fail, regions that fail,
a network that loses, delays, repeats and reorders, probers that skip slots or know that they are unhealthy, a scheduler
that stops, maintenance, a fold that crashes between commits.

`play(seed)` returns what happened, or raises Violated with the seed in it. The same seed plays the same again.
"""

import heapq
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from farwatch_events.events import (
    ConfirmationRequested,
    DomainEvent,
    FlappingStarted,
    IncidentOpened,
    IncidentResolved,
    IncidentSeverityRaised,
    IncidentUnsuppressed,
    VerdictChanged,
)
from farwatch_events.results import CheckResult, ErrorClass, Heartbeat, ResultBatch, Try, parse_result_message
from farwatch_incidents.board import Board
from farwatch_incidents.changes import Changes
from farwatch_incidents.feeding import feed
from farwatch_incidents.projection import Projection, VerdictRow
from farwatch_incidents.rules.asking import CONFIRMATION_PATIENCE_MS, find_above
from farwatch_incidents.rules.codec import dump_local, dump_monitor_state, dump_votes, load_local, load_monitor_state
from farwatch_incidents.rules.config import Maintenance, MonitorConfig
from farwatch_incidents.rules.incident import FLAPPING, Entry, Incident

SECOND = 1_000
BEGIN = 1_790_000_000_000
REFUSED: dict[str, Any] = {"error_class": ErrorClass.CONNECT_REFUSED, "error": "connection refused"}
HELD_BACK_MS = 3 * SECOND
"""So long after a cut everything is there that it held back."""
JOSTLED_MS = 1_500
Span = tuple[int, int]


class Violated(AssertionError):
    """An invariant did not hold. The text names the seed."""


@dataclass(frozen=True)
class Plan:
    """What the seed decided. `outages` by monitor are the targets' own; `broken` and `cut` by region are times in
    which the region's network lets no check through, and in which nothing of the region arrives. At any time no more
    regions are in trouble than leave a quorum of healthy ones. Probers that are `honest` say so when they are broken,
    and a slot is skipped with the probability `skips`."""

    seed: int
    regions: tuple[str, ...]
    configs: tuple[MonitorConfig, ...]
    outages: dict[int, list[Span]]
    broken: dict[str, list[Span]]
    cut: dict[str, list[Span]]
    idle: list[Span]
    until_ms: int
    loss: float
    repeats: float
    slowest_ms: int
    honest: bool
    skips: float
    windows: tuple[Maintenance, ...]


def inside(moment_ms: int, spans: list[Span]) -> bool:
    return any(begin <= moment_ms < end for begin, end in spans)


def touches(span: Span, spans: list[Span]) -> bool:
    return any(begin < span[1] and span[0] < end for begin, end in spans)


def margin_of(config: MonitorConfig) -> int:
    """How long after a change of the world everybody has to have seen it: slots lost on the way, votes that expire."""
    return 4 * config.interval_ms + config.patience_ms + 20 * SECOND


def make_plan(seed: int) -> Plan:
    draw, more = random.Random(seed), random.Random(f"{seed} more")
    honest = more.random() < 0.5
    families = random.Random(f"{seed} families")
    regions = ("eu", "us", "ap", "sa", "af")[: draw.choice((1, 1, 2, 3, 3, 4, 5))]
    configs = tuple(
        MonitorConfig(
            monitor_id=monitor_id,
            name=f"site {monitor_id}",
            config_version=1,
            interval_ms=draw.choice((5, 10, 30)) * SECOND,
            max_check_ms=4 * SECOND,
            retries=draw.randint(0, 2),
        )
        for monitor_id in range(1, draw.choice((2, 3, 5)) + 1)
    )
    configs = tuple(
        replace(config, parents=tuple(families.sample(range(1, len(configs) + 1), families.choice((0, 1, 2)))))
        for config in configs
    )  # circles too, which the api refuses
    until_ms = BEGIN + draw.randint(15, 35) * 60 * SECOND
    outages = {config.monitor_id: list(_outages(draw, config, until_ms)) for config in configs}
    broken: dict[str, list[Span]] = {region: [] for region in regions}
    cut: dict[str, list[Span]] = {region: [] for region in regions}
    for victims, span in _troubles(draw, regions, until_ms, max(map(margin_of, configs))):
        for region in victims:
            # A region that stands alone and cannot reach anything is told from targets that are down by itself alone.
            is_cut = not (honest and more.random() < 0.5) if len(regions) == 1 else draw.random() < 0.5
            (cut if is_cut else broken)[region].append(span)
    idle = []
    if draw.random() < 0.3:
        begin = draw.randint(BEGIN + 120 * SECOND, until_ms - 120 * SECOND)
        idle.append((begin, begin + draw.randint(10, 300) * SECOND))
    return Plan(
        seed, regions, configs, outages, broken, cut, idle, until_ms,
        loss=draw.choice((0.0, 0.05, 0.3)), repeats=draw.choice((0.0, 0.1, 0.5)),
        slowest_ms=draw.choice((50, 500, 3_000)), honest=honest, skips=more.choice((0.0, 0.0, 0.02)),
        windows=tuple(_windows(more, configs, until_ms)),
    )  # fmt: skip


def _windows(draw: random.Random, configs: tuple[MonitorConfig, ...], until_ms: int) -> Iterator[Maintenance]:
    for number in range(draw.choice((0, 0, 1, 3))):
        begin = draw.randint(BEGIN, until_ms)
        ids = frozenset(draw.sample([config.monitor_id for config in configs], draw.randint(1, len(configs))))
        yield Maintenance(
            number + 1, f"window {number}", begin, begin + draw.randint(10, 600) * SECOND, monitor_ids=ids
        )


def _outages(draw: random.Random, config: MonitorConfig, until_ms: int) -> Iterator[Span]:
    at = BEGIN + margin_of(config)
    while True:
        at += draw.randint(0, 300) * SECOND
        lasts = draw.choice((draw.randint(1, 20) * SECOND, margin_of(config) + draw.randint(0, 200) * SECOND))
        if at + lasts + 2 * margin_of(config) > until_ms:
            return
        yield at, at + lasts
        at += lasts + 2 * margin_of(config)


def _troubles(
    draw: random.Random, regions: tuple[str, ...], until_ms: int, rest_ms: int
) -> Iterator[tuple[list[str], Span]]:
    """Regions in trouble together: never so many that the rest is no quorum of all."""
    most = 1 if len(regions) == 1 else (len(regions) - 1) // 2
    at = BEGIN + 60 * SECOND
    while most:
        at += draw.randint(0, 400) * SECOND
        span = at, at + draw.randint(1, 240) * SECOND
        if span[1] + rest_ms > until_ms:
            return
        yield draw.sample(regions, draw.randint(1, most)), span
        at = span[1] + rest_ms


# -- the world -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Delivery:
    """A message as it stands in a region's stream: `at_ms` is JetStream's time. `repeated` ones were there before."""

    at_ms: int
    number: int
    data: bytes = field(compare=False)
    repeated: bool = field(compare=False, default=False)


def deliveries(plan: Plan) -> list[Delivery]:
    """Everything the probers say, in the order in which the bus takes it."""
    draw, more = random.Random(plan.seed + 1), random.Random(f"{plan.seed} skips")
    sent: list[tuple[int, int, str, bytes]] = []
    for config in plan.configs:
        phase = draw.randrange(config.interval_ms)
        for slot_ms in range(BEGIN + phase, plan.until_ms, config.interval_ms):
            if inside(slot_ms, plan.idle):
                continue
            for region in plan.regions:
                said = _check(plan, draw, config, region, slot_ms)
                sent += _skip(config, region, slot_ms) if said and more.random() < plan.skips else said
    for region in plan.regions:
        for at in range(BEGIN, plan.until_ms, 2 * SECOND):
            watermark_ms = 0 if inside(at, plan.idle) else at - 8 * SECOND
            unwell = plan.honest and inside(at, plan.broken[region])
            beat = Heartbeat(
                type="heartbeat", region=region, prober="p", sent_ms=at, watermark_ms=watermark_ms, healthy=not unwell
            )  # fmt: skip
            sent.append((at, at + draw.randint(1, 40), region, beat.to_bytes()))
    return list(_carry(plan, draw, sent))


def _check(
    plan: Plan, draw: random.Random, config: MonitorConfig, region: str, slot_ms: int
) -> list[tuple[int, int, str, bytes]]:
    if inside(slot_ms, plan.cut[region]) and draw.random() < 0.5:
        return []  # its probers did not hear of it either
    started_ms, took_ms = slot_ms + draw.randint(0, 200), draw.randint(20, 400)
    tries, believed = [], True
    for number in range(config.retries + 1):
        at = started_ms + number * 500
        is_broken = inside(at, plan.broken[region])
        believed = believed and not (is_broken and plan.honest)
        fails = inside(at, plan.outages[config.monitor_id]) or is_broken
        # A retry saves from a lost packet: what it does not save is arithmetic, not a broken rule.
        fails = fails or (number < config.retries and draw.random() < plan.loss)
        tries.append(Try(started_ms=at, **REFUSED) if fails else Try(started_ms=at, latency_ms=took_ms))
        if not fails:
            break
    failed = tries[-1].error_class is not None
    result = CheckResult(
        monitor_id=config.monitor_id,
        config_version=1,
        slot_ms=slot_ms,
        outcome="down" if failed else "up",
        started_ms=started_ms,
        finished_ms=tries[-1].started_ms + took_ms,
        latency_ms=None if failed else float(took_ms),
        attempts=len(tries),
        tries=tries,
        **(REFUSED if failed else {}),
    )
    batch = ResultBatch(type="results", region=region, prober="p", healthy=believed, results=[result])
    sent_ms = result.finished_ms
    return [(sent_ms, sent_ms + draw.randint(1, plan.slowest_ms), region, batch.to_bytes())]


def _skip(config: MonitorConfig, region: str, slot_ms: int) -> list[tuple[int, int, str, bytes]]:
    late_ms = slot_ms + config.interval_ms + 1
    result = CheckResult(
        monitor_id=config.monitor_id, config_version=1, slot_ms=slot_ms, outcome="unknown", started_ms=late_ms,
        finished_ms=late_ms, attempts=0, error_class=ErrorClass.SKIPPED, error="Not checked: too late",
    )  # fmt: skip
    batch = ResultBatch(type="results", region=region, prober="p", results=[result])
    return [(late_ms, late_ms + 1, region, batch.to_bytes())]


def jostled(plan: Plan, said: list[Delivery]) -> list[Delivery]:
    """The same results in another order: each up to JOSTLED_MS later."""
    draw = random.Random(f"{plan.seed} jostled")
    return sorted(
        each if b'"heartbeat"' in each.data else replace(each, at_ms=each.at_ms + draw.randint(0, JOSTLED_MS))
        for each in said
    )


def _carry(plan: Plan, draw: random.Random, sent: list[tuple[int, int, str, bytes]]) -> Iterator[Delivery]:
    """What a cut held back arrives after it, in any order; heartbeats of that time are lost; some comes twice."""
    queue: list[Delivery] = []
    for number, (sent_ms, on_time_ms, region, data) in enumerate(sent):
        arrives_ms = on_time_ms
        if (end := next((span[1] for span in plan.cut[region] if span[0] <= sent_ms < span[1]), None)) is not None:
            if b'"heartbeat"' in data:
                continue
            arrives_ms = end + draw.randint(1, HELD_BACK_MS)
        heapq.heappush(queue, Delivery(arrives_ms, 2 * number, data))
        if draw.random() < plan.repeats:
            again_ms = arrives_ms + draw.choice((1, 50, 5_000, 60_000))
            heapq.heappush(queue, Delivery(again_ms, 2 * number + 1, data, repeated=True))
    while queue:
        yield heapq.heappop(queue)


# -- the fold --------------------------------------------------------------------------------------------------------


class Store:
    """What a commit leaves: rows, as PostgreSQL would give them back, and the log."""

    def __init__(self) -> None:
        self.now_ms = 0
        self.next_incident_id = 1
        self.local: dict[tuple[int, str], tuple[str, int, str]] = {}
        self.verdicts: dict[int, str] = {}
        self.regions: dict[str, Any] = {}
        self.incidents: dict[int, Incident] = {}
        self.lines: dict[int, dict[int, Entry]] = defaultdict(dict)
        self.events: list[DomainEvent] = []
        self.identities: set[tuple[Any, ...]] = set()

    def commit(self, board: Board, changes: Changes) -> None:
        self.now_ms, self.next_incident_id = board.now_ms, board.next_incident_id
        for row in changes.history:
            identity = (row[1], row[11], row[0], row[13])
            if identity in self.identities:
                raise Violated(f"stored twice: {identity}")
            self.identities.add(identity)
        for monitor_id, region in changes.local:
            state = board.states[monitor_id].local[region]
            self.local[monitor_id, region] = (state.vote, state.slot_ms, json.dumps(dump_local(state)))
        for monitor_id in changes.monitors:
            self.verdicts[monitor_id] = json.dumps(_verdict_row(board, monitor_id))
        for region in changes.regions:
            self.regions[region] = board.regions[region]
        self.incidents.update(changes.incidents)
        for line in changes.lines:
            if line.seq in self.lines[line.incident_id]:
                raise Violated(f"line {line.seq} of incident {line.incident_id} written twice")
            self.lines[line.incident_id][line.seq] = line.entry
        self.events += changes.events

    def board(self, plan: Plan) -> Board:
        """A fold that starts anew from what was committed."""
        board = Board()
        board.go_on(self.now_ms or BEGIN)
        board.next_incident_id = self.next_incident_id
        local: dict[int, dict[str, Any]] = defaultdict(dict)
        for (monitor_id, region), (vote, slot_ms, data) in self.local.items():
            local[monitor_id][region] = load_local(vote, slot_ms, json.loads(data))
        unresolved = {each.monitor_id: each for each in self.incidents.values() if each.state != "resolved"}
        for monitor_id in self.verdicts.keys() | local.keys():
            known = self.verdicts.get(monitor_id)
            state = load_monitor_state(monitor_id, json.loads(known)) if known else board.state_of(monitor_id)
            board.adopt(replace(state, local=local.get(monitor_id, {}), incident=unresolved.get(monitor_id)))
        for region, known_region in self.regions.items():
            board.regions[region] = replace(known_region, quiet_ms=0, probers={})
        board.set_regions(plan.regions)
        board.set_windows(plan.windows)
        for config in plan.configs:
            board.set_config(config)
        board.review_all()
        board.take_changes()
        return board


def _verdict_row(board: Board, monitor_id: int) -> dict[str, Any]:
    state = board.states[monitor_id]
    return {
        "verdict": state.verdict,
        "since_ms": state.since_ms,
        "reason": state.reason,
        "rule": state.rule,
        "votes": dump_votes(state.votes),
        "flapping": state.flapping.flag,
        "state": dump_monitor_state(state),
    }


def run(plan: Plan, said: list[Delivery], *, crashes: float, rhythm: int) -> Store:
    """Folds it all: batches of up to a second, ticks, and with the probability `crashes` a step whose work is lost
    before its commit, or right after it. `rhythm` seeds where the batches end."""
    draw, store = random.Random(rhythm), Store()
    board, at, next_ms = store.board(plan), 0, BEGIN + SECOND
    ticked_ms = BEGIN
    while next_ms < plan.until_ms:
        step_ms = next_ms
        end = at
        while end < len(said) and said[end].at_ms <= step_ms:
            end += 1
        # Ticks come every second; how the messages between fall into batches is up to chance.
        for first, last in _portions(draw, at, end):
            crashed = draw.random() < crashes
            feed(board, [(each.at_ms, parse_result_message(each.data)) for each in said[first:last]], in_slices=False)
            if crashed and draw.random() < 0.5:  # before the commit: what was decided is forgotten and done again
                board = store.board(plan)
                feed(
                    board, [(each.at_ms, parse_result_message(each.data)) for each in said[first:last]], in_slices=False
                )
            store.commit(board, board.take_changes())
            if crashed:
                board = store.board(plan)
        at = end
        board.tick(step_ms, step_ms - ticked_ms)
        ticked_ms = step_ms
        store.commit(board, board.take_changes())
        next_ms += SECOND
    return store


def _portions(draw: random.Random, first: int, last: int) -> Iterator[tuple[int, int]]:
    while first < last:
        end = min(last, first + draw.randint(1, 8))
        yield first, end
        first = end


# -- what must hold --------------------------------------------------------------------------------------------------


def play(seed: int) -> Store:
    """Plays the seed and checks every invariant. Raises Violated."""
    plan = make_plan(seed)
    said = deliveries(plan)
    try:
        live = run(plan, said, crashes=0.05, rhythm=seed + 2)
        steady = run(plan, said, crashes=0.0, rhythm=seed + 3)
        once = run(plan, [each for each in said if not each.repeated], crashes=0.0, rhythm=seed + 4)
        if [_dump(each) for each in steady.events] != [_dump(each) for each in once.events]:
            raise Violated("what came twice changed something")
        for store in (live, steady, run(plan, jostled(plan, said), crashes=0.0, rhythm=seed + 5)):
            check_history(store)
            check_truth(plan, store)
            check_end(plan, store)
            check_maintenance(plan, store)
            check_requests(plan, store)
        if plan.windows:
            check_verdicts_alike(steady, run(replace(plan, windows=()), said, crashes=0.0, rhythm=seed + 3))
        check_projection(live)
    except Violated as error:
        raise Violated(f"seed {seed}: {error} (again: python -m tests.unit.incidents.simulator {seed})") from None
    return live


def _dump(event: DomainEvent) -> tuple[str, str]:
    return event.type, event.model_dump_json()


def check_history(store: Store) -> None:
    """From the events alone: one unresolved incident a monitor at most, verdicts that follow votes, time that goes
    forward, lines without gaps."""
    unresolved: dict[int, int] = {}
    verdicts: dict[int, str] = defaultdict(lambda: "pending")
    turned_ms: dict[int, int] = defaultdict(int)
    for event in store.events:
        if isinstance(event, IncidentOpened):
            if event.monitor_id in unresolved:
                raise Violated(f"monitor {event.monitor_id} has two unresolved incidents")
            unresolved[event.monitor_id] = event.incident_id
        elif isinstance(event, IncidentResolved):
            if unresolved.pop(event.monitor_id, None) != event.incident_id:
                raise Violated(f"incident {event.incident_id} ended that was not open")
        elif isinstance(event, VerdictChanged):
            if event.before != verdicts[event.monitor_id] or event.before == event.after:
                raise Violated(f"monitor {event.monitor_id} went from {event.before}, it was not there")
            verdicts[event.monitor_id] = event.after
            _check_change(event)
            if event.at_ms < turned_ms[event.monitor_id]:
                raise Violated(f"monitor {event.monitor_id} became {event.after} before what it was before")
            turned_ms[event.monitor_id] = event.at_ms
    for incident_id, lines in store.lines.items():
        times = [lines[seq].at_ms for seq in sorted(lines)]
        if sorted(lines) != list(range(1, len(lines) + 1)) or times != sorted(times):
            raise Violated(f"the timeline of incident {incident_id} has gaps or runs backwards")


def _check_change(event: VerdictChanged) -> None:
    """A quorum of votes that know something, or nobody who knows anything."""
    votes = [vote.vote for vote in event.votes if vote.counted]
    wanted = {"down": {"down"}, "up": {"up", "degraded"}, "degraded": {"down", "degraded"}}.get(event.after, set())
    says = sum(vote in wanted for vote in votes)
    # An outage that became unknown in its middle is down again with the first region that still sees it.
    quorum = 1 if event.before == "unknown" or len(votes) == 1 or event.after == "degraded" else len(votes) // 2 + 1
    is_founded = not votes if event.after == "unknown" else says >= quorum
    if "unknown" in votes or not is_founded:
        raise Violated(f"monitor {event.monitor_id} went from {event.before} to {event.after} by the votes {votes}")


def check_end(plan: Plan, store: Store) -> None:
    """The world has been well for a while: so says everything, and no incident is open."""
    if touches((plan.until_ms - max(map(margin_of, plan.configs)), plan.until_ms), plan.idle):
        return
    for config in plan.configs:
        verdict = _verdict_at(store, config.monitor_id, plan.until_ms)
        if verdict != "up" and not (plan.skips and verdict == "unknown"):
            raise Violated(f"monitor {config.monitor_id} is {verdict} although all has long been well")
    if left := [each.incident_id for each in store.incidents.values() if each.state != "resolved"]:
        raise Violated(f"incidents {left} are still open although all has long been well")


def check_maintenance(plan: Plan, store: Store) -> None:
    """Nobody is told of what begins in a window while it lasts; of what outlasts it people are told once."""
    told: dict[int, list[int]] = defaultdict(list)
    for event in store.events:
        if isinstance(event, IncidentUnsuppressed):
            told[event.incident_id].append(event.at_ms)
    ends = {event.incident_id: event.at_ms for event in store.events if isinstance(event, IncidentResolved)}
    for event in store.events:
        if not isinstance(event, IncidentOpened):
            continue
        spans = [(each.starts_ms, each.ends_ms) for each in plan.windows if event.monitor_id in each.monitor_ids]
        within, times = inside(event.at_ms, spans), told[event.incident_id]
        if within and not event.suppressed:
            raise Violated(f"incident {event.incident_id} began in maintenance and is told")
        if event.suppressed and not within and event.suppressed != FLAPPING:
            raise Violated(f"incident {event.incident_id} is not told because of {event.suppressed}")
        if len(times) > (event.suppressed is not None) or any(inside(at, spans) for at in times):
            raise Violated(f"incident {event.incident_id} is told at {times}")
        over_ms = max((end for begin, end in _joined(spans) if begin <= event.at_ms < end), default=0)
        outlasts = ends.get(event.incident_id, 2**62) > over_ms + 2 * SECOND < plan.until_ms
        if within and outlasts and not times and not _flaps(store, event.monitor_id):
            raise Violated(f"incident {event.incident_id} outlasts its maintenance and is not told")


def check_requests(plan: Plan, store: Store) -> None:
    """A parent is asked for the sake of who stands behind it, and only once before it has answered or run out."""
    configs = {config.monitor_id: config for config in plan.configs}
    pending: dict[tuple[int, str], ConfirmationRequested] = {}
    due: set[int] = set()
    heard: dict[tuple[int, str], list[float]] = defaultdict(list)
    for monitor_id, region, slot, _ in store.identities:
        heard[monitor_id, region].append(slot.timestamp() * 1000)
    for event in store.events:
        if isinstance(event, IncidentOpened | IncidentSeverityRaised) and event.severity == "down":
            due.update(above.monitor_id for above in find_above(configs[event.monitor_id], configs))
        if not isinstance(event, ConfirmationRequested) or not event.all_tries:
            continue
        config, key = configs[event.monitor_id], (event.monitor_id, event.region)
        if event.monitor_id not in due:
            raise Violated(f"monitor {event.monitor_id} is asked at {event.at_ms} although nobody fell behind it")
        before = pending.get(key)
        patience_ms = config.max_check_ms + CONFIRMATION_PATIENCE_MS
        if before is not None and event.at_ms - before.at_ms <= patience_ms:
            asked_ms = before.failed_slot_ms
            if not any(asked_ms < slot_ms <= event.at_ms for slot_ms in heard[key]):
                raise Violated(f"monitor {event.monitor_id} is asked again at {event.at_ms} without an answer")
        pending[key] = event


def _joined(spans: list[Span]) -> list[Span]:
    """Those that overlap made one."""
    found: list[Span] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((begin, end))
    return found


def _flaps(store: Store, monitor_id: int) -> bool:
    return any(isinstance(each, FlappingStarted) and each.monitor_id == monitor_id for each in store.events)


def check_verdicts_alike(one: Store, other: Store) -> None:
    """Maintenance changes what is told, never what is known."""
    first, second = (
        [_dump(each) for each in store.events if isinstance(each, VerdictChanged)] for store in (one, other)
    )
    if first != second:
        raise Violated("maintenance changed a verdict")


def check_truth(plan: Plan, store: Store) -> None:
    """Outages that a quorum of healthy regions saw long enough are one incident each; nothing else is down."""
    downs = _downs(store)
    for config in plan.configs:
        margin, seen = margin_of(config), downs[config.monitor_id]
        outages = plan.outages[config.monitor_id]
        for begin, end in outages:
            whole = (begin - margin, end + margin)
            matching = [each for each in seen if touches((each[0], each[1]), [(begin, end + margin)])]
            # One that began before is of an earlier outage: nobody could see that one's end, perhaps.
            its = [each for each in matching if each[0] >= begin]
            if len(its) > 1 and not touches(whole, plan.idle):
                raise Violated(f"monitor {config.monitor_id}: {len(its)} incidents for one outage {begin, end}")
            healthy = sum(not touches(whole, [*plan.broken[region], *plan.cut[region]]) for region in plan.regions)
            needed = len(plan.regions) if len(plan.regions) <= 2 else len(plan.regions) // 2 + 1
            long_enough = end - begin >= margin and not touches(whole, plan.idle)
            if long_enough and healthy >= needed and not matching:
                raise Violated(f"monitor {config.monitor_id}: no incident for the outage {begin, end}")
            if long_enough and healthy >= needed and _verdict_at(store, config.monitor_id, end + margin) == "down":
                raise Violated(f"monitor {config.monitor_id}: still down long after the outage {begin, end}")
        known = [span for outage in outages for span in _may_be_known(plan, outage, margin)]
        for begin, end in seen:
            if not touches((begin, begin + 1), known):
                raise Violated(f"monitor {config.monitor_id}: down at {begin} to {end} without an outage")


def _may_be_known(plan: Plan, outage: Span, margin: int) -> Iterator[Span]:
    """When an outage may be told of: while it lasts and shortly after it, and when a cut ends that held back what was
    seen of it."""
    begin, end = outage
    yield begin, end + margin
    for cut in (span for spans in plan.cut.values() for span in spans):
        if touches(cut, [outage]):
            yield cut[1], cut[1] + HELD_BACK_MS + plan.slowest_ms + JOSTLED_MS


def _verdict_at(store: Store, monitor_id: int, at_ms: int) -> str:
    changes = [each for each in store.events if isinstance(each, VerdictChanged) and each.monitor_id == monitor_id]
    return next((each.after for each in reversed(changes) if each.at_ms <= at_ms), "pending")


def _downs(store: Store) -> dict[int, list[Span]]:
    """By monitor: incidents from when they said down to their end."""
    begun: dict[int, int] = {}
    found: dict[int, list[Span]] = defaultdict(list)
    for event in store.events:
        if isinstance(event, IncidentOpened | IncidentSeverityRaised) and event.severity == "down":
            begun[event.incident_id] = event.at_ms
        elif isinstance(event, IncidentResolved) and event.incident_id in begun:
            found[event.monitor_id].append((begun.pop(event.incident_id), event.at_ms))
    for incident_id, begin in begun.items():
        found[store.incidents[incident_id].monitor_id].append((begin, 2**62))
    return found


def check_projection(store: Store) -> None:
    """What the log tells is what the rows say."""
    told = Projection()
    for event in store.events:
        told.apply(event)
    for incident_id, incident in store.incidents.items():
        if told.incidents[incident_id].incident != incident:
            raise Violated(f"the log tells another incident {incident_id}")
        lines = store.lines[incident_id]
        stored = [_line(lines[seq]) for seq in sorted(lines)]
        if [_line(entry) for entry in told.incidents[incident_id].entries] != stored:
            raise Violated(f"the log tells another timeline of incident {incident_id}")
    for monitor_id, data in store.verdicts.items():
        row = json.loads(data)
        tale = told.verdicts.get(monitor_id, VerdictRow())
        if (row["verdict"], row["since_ms"], row["reason"], row["rule"], row["flapping"]) != (
            tale.verdict, tale.since_ms, tale.reason, tale.rule, tale.flapping,
        ) and tale != VerdictRow():  # fmt: skip
            raise Violated(f"the log tells another verdict of monitor {monitor_id}")


def _line(entry: Entry) -> tuple[Any, ...]:
    return entry.at_ms, entry.kind, entry.sentence, entry.actor, entry.data


if __name__ == "__main__":
    import sys

    for argument in sys.argv[1:]:
        first, _, last = argument.partition("-")
        for number in range(int(first), int(last or first) + 1):
            outcome = play(number)
            print(
                f"seed {number}: {len(outcome.events)} events, {len(outcome.incidents)} incidents, all invariants hold"
            )
