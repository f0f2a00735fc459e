"""What goes wrong in one schedule: how likely each fault is, drawn once from the seed."""

from __future__ import annotations

from random import Random

CALM = 0.0


class Weather:
    """Probabilities per exchange, and whether a server is away. `calm` ends all of it."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.mysql_away = False
        self.redis_away = False
        self.relay_away = False
        self.cut_off: set[str] = set()
        """Hosts that do not reach Redis."""
        self.fading: set[str] = set()
        """Hosts that get the answers of Redis late."""
        self.before_commit = self._some(0.1)
        self.after_commit = self._some(0.1)
        self.late_statement = self._some(0.05)
        self.redis_lost_request = self._some(0.1)
        self.redis_lost_reply = self._some(0.1)
        self.slow = self._some(0.1)
        self.redis_slow = self._some(0.5)
        self.pace = rng.choice((0.05, 0.3, 1.0))
        """Seconds that each part of a session takes at most, usually."""
        self.frozen_at_call = self._some(0.02)
        self.stop_at_takeover = self._some(0.05)
        self.late_dot = self._some(0.1)
        self.reply_lost = self._some(0.2)
        self.session_lost = self._some(0.2)
        self.deferred = self._some(0.5)
        self.rejected = self._some(0.2)

    def _some(self, most: float) -> float:
        """Nothing of it in a part of the schedules, so that the others stand out."""
        return 0.0 if self._rng.random() < 0.4 else self._rng.random() * most

    def calm(self) -> None:
        """From here on everything works."""
        self.mysql_away = self.redis_away = self.relay_away = False
        self.cut_off.clear()
        self.fading.clear()
        for name in (
            "before_commit", "after_commit", "late_statement", "redis_lost_request",
            "redis_lost_reply", "slow", "redis_slow", "stop_at_takeover", "frozen_at_call",
            "late_dot", "reply_lost", "session_lost", "deferred",
        ):  # fmt: skip
            setattr(self, name, CALM)

    def freeze_at(self) -> str:
        """Whether a process freezes at an exchange: before the "request" is sent, before the
        "answer" is there, or "" for not at all."""
        if not self.frozen_at_call or self._rng.random() >= self.frozen_at_call:
            return ""
        return self._rng.choice(("request", "answer"))

    def delay(self, usual: float, longest: float) -> float:
        """Seconds on the way: mostly up to `usual`, up to `longest` when it is slow."""
        return self._delay(self.slow, usual, longest)

    def redis_delay(self, usual: float, longest: float) -> float:
        """The same for Redis."""
        return self._delay(self.redis_slow, usual, longest)

    def _delay(self, slow: float, usual: float, longest: float) -> float:
        if slow and self._rng.random() < slow:
            return self._rng.random() * longest
        return self._rng.random() * usual
