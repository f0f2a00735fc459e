"""One schedule: a few hosts, a small campaign or two, a storm, and then calm until all is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from campaignd.pipeline.queue import FRESH_SECONDS
from tests.simulation import mysql, redis
from tests.simulation.clock import Process, World
from tests.simulation.host import Host, Surroundings, use
from tests.simulation.lane import BAD_ROW
from tests.simulation.rules import RATE_ERROR, Rules, Violation
from tests.simulation.store import Store
from tests.simulation.weather import Weather

TTL = 3.0
STORM_SECONDS = 18.0
PATIENCE_SECONDS = 400.0
"""How long everything may take once the storm is over."""

WALL = 1_000_000.0
"""The wall clock when a schedule begins."""


@dataclass(slots=True)
class Result:
    """What became of a schedule."""

    seed: int
    violation: str = ""
    trace: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Simulated."""
    dots: int = 0
    takeovers: int = 0
    fenced: int = 0
    duplicates: int = 0
    unknown: int = 0


StoreFactory = Callable[[], Store]


class Schedule:
    """Everything follows from the seed."""

    def __init__(
        self, seed: int, *, make_store: StoreFactory = Store, traced: bool = False
    ) -> None:
        self._seed = seed
        rng = self._rng = Random(seed)
        self._world = world = World(rng)
        self._weather = weather = Weather(rng)
        self._store = store = make_store()
        self._rules = rules = Rules(world, store, TTL)
        if traced:
            rules.trace = []
        self._leases = leases = redis.Server(world, weather)
        rules.lease_owner = lambda key: leases.owner(f"campaignd:lease:{key[0]}:{key[1]}")
        rules.leases_lost = lambda: (leases.losses, leases.lost_at)
        database = mysql.Server(world, weather, store, rules)
        database.on_takeover = self._on_takeover
        self._around = Surroundings(world, weather, rules, database, leases, TTL)
        self._processes: list[Process] = []
        self._hosts: dict[str, Host] = {}
        for campaign in range(1, rng.choice((1, 1, 1, 2)) + 1):
            policy = rng.choice(("resend", "keep"))
            sizes = [rng.randint(1, BAD_ROW) for _ in range(rng.choice((1, 1, 2, 3)))]
            store.add(campaign, sizes, now=WALL, spec=policy.encode())
            rules.policies[campaign] = policy
            if rng.random() < 0.2:
                store.suppressed.add((campaign, 0, rng.randint(1, sizes[0])))
        self._shape = (rng.choice((1, 2, 4)), rng.choice((4, 8, 20)), rng.choice((1, 2, 5)))
        # Leases are so short here that, in most schedules, jobs must be let wait for longer: a host
        # that was frozen past its lease would look at them again, and find nothing else out.
        suppresses = seed % 4 == 0
        fresh = FRESH_SECONDS if suppresses else 20.0
        use(world, window=rng.choice((2, 3, 8, 20)), fresh=fresh)
        for number in range(rng.choice((1, 2, 2, 3, 3))):
            self._start(f"host{number}")
        self._plan_storm()
        if suppresses:
            self._plan_suppressions(Random(-seed))

    def run(self) -> Result:
        """Runs it to its end."""
        result = Result(self._seed)
        try:
            ended = self._world.run_until(STORM_SECONDS + PATIENCE_SECONDS, self._is_done)
            self._check_processes()
            self._check_end(ended)
        except Violation as violation:
            result.violation = str(violation)
        except (ArithmeticError, RuntimeError, LookupError, TypeError) as error:
            result.violation = f"crash: {error!r}"
        finally:
            for process in self._processes:
                process.end()
        self._count(result)
        return result

    def _start(self, name: str) -> None:
        rng = self._rng
        process = Process(  # type: ignore[abstract]  # of a loop only what asyncio uses
            self._world,
            name,
            rate=1 + rng.uniform(-RATE_ERROR, RATE_ERROR),
            offset=rng.random() * 1e6,
            wall=WALL + rng.choice((0.0, 0.0, rng.uniform(-2, 2))),
        )
        slots, turns, sessions = self._shape
        self._processes.append(process)
        self._hosts[name] = Host(self._around, process, slots=slots, turns=turns, sessions=sessions)
        self._rules.note(name, "starts")

    # The storm.

    def _plan_storm(self) -> None:
        rng = self._rng
        kinds: list[Callable[[], None]] = [
            self._crash, self._crash, self._freeze, self._freeze, self._terminate,
            self._lose_leases, self._redis_away, self._mysql_away, self._relay_away,
            self._wall_jump, self._pause, self._fade, self._fade,
        ]  # fmt: skip
        for _ in range(rng.randint(0, 9)):
            self._world.at(rng.random() * STORM_SECONDS * 0.8, None, rng.choice(kinds))
        self._world.at(STORM_SECONDS, None, self._calm)

    def _plan_suppressions(self, rng: Random) -> None:
        for key, shard in self._store.shards.items():
            recipient = (*key, rng.randint(1, shard.size))
            self._world.at(rng.random() * STORM_SECONDS, None, self._suppress, recipient)

    def _suppress(self, recipient: tuple[int, int, int]) -> None:
        self._rules.note("operator", f"suppresses {recipient}")
        self._store.suppressed.add(recipient)
        self._rules.suppressed_at[recipient] = self._world.now

    def _any_host(self) -> Host | None:
        alive = [host for host in self._hosts.values() if host.process.alive]
        return self._rng.choice(alive) if alive else None

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        self._world.at(self._world.now + seconds, None, action)

    def _crash(self) -> None:
        host = self._any_host()
        if host is not None:
            self._rules.note(host.process.name, "is killed")
            host.process.kill()
            self._later(self._rng.random() * 10, lambda: self._restart(host.process.name))

    def _restart(self, name: str) -> None:
        if not self._hosts[name].process.alive:
            self._start(name)

    def _freeze(self) -> None:
        host = self._any_host()
        if host is not None:
            seconds = self._rng.uniform(0.5, 4 * TTL)
            self._rules.note(host.process.name, f"is frozen for {seconds:.1f} s")
            host.process.freeze(seconds)

    def _terminate(self) -> None:
        host = self._any_host()
        if host is not None:
            self._stop(host)

    def _on_takeover(self, process: Process) -> None:
        """A host may be told to stop while a takeover is under way."""
        if self._rng.random() < self._weather.stop_at_takeover:
            self._stop(self._hosts[process.name])

    def _stop(self, host: Host) -> None:
        name = host.process.name
        self._rules.note(name, "is told to stop")
        host.terminate()
        if self._rng.random() < 0.2:
            self._later(self._rng.random() * 3, host.terminate)
        self._later(self._rng.uniform(1, 20), lambda: self._restart(name))

    def _lose_leases(self) -> None:
        self._rules.note("redis", "loses everything")
        self._leases.lose_everything()

    def _redis_away(self) -> None:
        self._weather.redis_away = True
        self._rules.note("redis", "is away")
        if self._rng.random() < 0.5:
            self._leases.lose_everything()
        self._later(self._rng.uniform(0.5, 10), self._redis_back)

    def _fade(self) -> None:
        """A host's link to Redis gets slow, then breaks for a while."""
        host = self._any_host()
        if host is not None:
            name = host.process.name
            self._rules.note(name, "gets slow answers from redis")
            self._weather.fading.add(name)
            self._later(self._rng.random() * 4, lambda: self._cut_off(name))

    def _cut_off(self, name: str) -> None:
        self._rules.note(name, "is cut off from redis")
        self._weather.cut_off.add(name)
        self._later(self._rng.uniform(1, 12), lambda: self._join(name))

    def _join(self, name: str) -> None:
        self._weather.cut_off.discard(name)
        self._weather.fading.discard(name)

    def _redis_back(self) -> None:
        self._weather.redis_away = False

    def _mysql_away(self) -> None:
        self._weather.mysql_away = True
        self._rules.note("mysql", "is away")
        self._later(self._rng.uniform(0.5, 10), self._mysql_back)

    def _mysql_back(self) -> None:
        self._weather.mysql_away = False

    def _relay_away(self) -> None:
        self._weather.relay_away = True
        self._later(self._rng.uniform(0.5, 10), self._relay_back)

    def _relay_back(self) -> None:
        self._weather.relay_away = False

    def _wall_jump(self) -> None:
        host = self._any_host()
        if host is not None:
            host.process.wall_offset += self._rng.choice((-120, -5, 5, 120))

    def _pause(self) -> None:
        campaign = self._rng.choice(list(self._store.campaigns))
        self._rules.note("operator", f"pauses {campaign}")
        self._store.set_state(campaign, "running", "paused")
        self._later(self._rng.random() * 8, lambda: self._resume(campaign))

    def _resume(self, campaign: int) -> None:
        self._store.set_state(campaign, "paused", "running")

    def _calm(self) -> None:
        """The end of the storm: what is dead comes back, clocks are set right."""
        self._rules.note("storm", "is over")
        self._weather.calm()
        for campaign in self._store.campaigns:
            self._resume(campaign)
        for host in self._hosts.values():
            host.process.wall_offset = WALL
        self._start_again()

    def _start_again(self) -> None:
        """A service manager: what has stopped starts again."""
        for name, host in list(self._hosts.items()):
            if not host.process.alive:
                self._start(name)
        self._later(3.0, self._start_again)

    # Its end.

    def _is_done(self) -> bool:
        self._check_processes()
        if self._world.now < STORM_SECONDS:
            return False
        if any(row.state != "finished" for row in self._store.campaigns.values()):
            return False
        return not any(
            host.process.alive
            and (
                host.process.frozen
                or host.recorder.backlog
                or host.lane.in_flight
                or host.scheduler.runs
            )
            for host in self._hosts.values()
        )

    def _check_processes(self) -> None:
        for host in self._hosts.values():
            if host.process.failure is not None:
                cause = _cause(host.process.failure)
                if isinstance(cause, Violation):
                    raise cause
                raise RuntimeError(f"{host.process.name}: {cause!r}")

    def _check_end(self, ended: bool) -> None:
        """Everything came to its end, and nothing is left over in a host."""
        if not ended:
            raise Violation(f"it never ends: {self._unfinished()}")
        self._rules.check_end(lambda process: process.alive)
        for name, host in self._hosts.items():
            left = (host.turns.used, len(host.queue), host.recorder.backlog)
            if host.process.alive and left != (0, 0, 0):
                raise Violation(f"turns, jobs and results come back: {name} {left}")

    def _unfinished(self) -> str:
        shards = {key: shard for key, shard in self._store.shards.items() if not shard.finished}
        runs = [list(host.scheduler.runs.values()) for host in self._hosts.values()]
        return f"{shards} {runs}"

    def _count(self, result: Result) -> None:
        result.seconds = self._world.now
        result.dots = sum(len(dots) for dots in self._rules.dots.values())
        result.takeovers = sum(shard.epoch for shard in self._store.shards.values())
        result.fenced = self._rules.fenced
        result.duplicates = self._rules.duplicates
        result.unknown = sum(shard.counts[6] for shard in self._store.shards.values())
        result.trace = self._rules.trace or []


def _cause(error: BaseException) -> BaseException:
    """What lies in the groups that task groups raise."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
