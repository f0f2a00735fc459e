"""The targets notice: each of these bugs, planted, fails the target that is there for it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from itertools import islice
from typing import Any
from unittest import mock

import pytest

from campaignd.audience.csv_rows import CsvReader
from campaignd.compose import composer, headers, values
from campaignd.compose.expressions import Code, ExpressionCompiler
from campaignd.net.session import Session
from campaignd.smtp import classify, machine, protocol, reply
from campaignd.smtp.classify import Phase, Stage, Trouble
from campaignd.smtp.protocol import Step
from tests.fuzz import corpus
from tests.fuzz.mutate import mutations
from tests.fuzz.targets import TARGETS

TRIES = 4_000
Plant = Callable[[], Any]


def _steps(phase: Phase, kind: int, step: Step) -> Plant:
    return lambda: mock.patch.dict(protocol.STEPS, {(phase, kind): step})


def _attribute(self: ExpressionCompiler, node: Any) -> Code:
    return Code(ast.Attribute(self.present(node.node), node.attr, ast.Load()))


def _careless(self: Session) -> None:
    self._transport.write(self._machine.body())


_ABORTED = Trouble.ABORTED, Stage.AFTER_DOT
_DEFERRED = classify.TROUBLES[Trouble.LOST, Stage.OPEN]

BUGS: dict[str, tuple[str, Plant]] = {
    "a 4xx to the final dot is taken for 2xx": ("machine", _steps(Phase.FINAL_DOT, 4, Step.TAKEN)),
    "a lost reply to the final dot is a deferral": (
        "session",
        lambda: mock.patch.dict(
            classify.TROUBLES, {(Trouble.LOST, Stage.AFTER_DOT): _DEFERRED, _ABORTED: _DEFERRED}
        ),
    ),
    "bytes that nobody asked for are kept": (
        "machine",
        lambda: mock.patch.object(machine.Machine, "_unasked", lambda self: None),
    ),
    "the right to send is not looked at": (
        "session",
        lambda: mock.patch.object(Session, "_send_body", _careless),
    ),
    "a long reply is refused": ("reply", lambda: mock.patch.object(reply, "MAX_LINE", 100)),
    "dots are not stuffed": (
        "compose",
        lambda: mock.patch.object(composer, "for_data", lambda m: m + b"\r\n.\r\n"),
    ),
    "a header keeps its line breaks": (
        "headers",
        lambda: mock.patch.object(headers, "_UNSAFE", re.compile("\0")),
    ),
    "a value keeps its controls": (
        "compose",
        lambda: mock.patch.object(values, "_CONTROLS", re.compile("(?!)")),
    ),
    "templates have attributes": (
        "template",
        lambda: mock.patch.object(ExpressionCompiler, "_attribute", _attribute),
    ),
    "text that is not UTF-8 is taken": (
        "csv",
        lambda: mock.patch.object(CsvReader, "_check_utf8", lambda *args: True),
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_planted_bug_is_found(bug: str) -> None:
    name, plant = BUGS[bug]
    target, saved = TARGETS[name], corpus.load(name)
    inputs = (*saved, *islice(mutations(saved, target.longest, 1), TRIES))
    with plant(), pytest.raises((AssertionError, UnicodeError)):
        for data in inputs:
            target.run(data)
