from __future__ import annotations

import pytest

from benchmarks import stages

OUTER = ["run (campaignd/cli/run.py:52)", "Runner.run (asyncio/runners.py:118)"]


@pytest.mark.parametrize(
    ("frames", "stage"),
    [
        ([], "rest"),
        (["Session.data_received (campaignd/net/session.py:1)"], "SMTP"),
        # A session that reports a result is recording.
        (
            [
                "Session.data_received (campaignd/net/session.py:1)",
                "Recorder.report (campaignd/pipeline/record.py:1)",
            ],
            "record",
        ),
        (
            [
                "Issuer.issue (campaignd/pipeline/issue.py:1)",
                "EmailCampaign.job (campaignd/channels/email.py:1)",
                "Composer.compose (campaignd/compose/composer.py:1)",
                "escape (markupsafe/_native.py:1)",
            ],
            "compose",
        ),
        (
            [
                "Issuer._read (campaignd/pipeline/issue.py:1)",
                "Connection.query (aiomysql/connection.py:1)",
                "StreamWriter.write (asyncio/streams.py:1)",
            ],
            "read",
        ),
        (
            [
                "Recorder._write (campaignd/pipeline/record.py:1)",
                "record (campaignd/store/ledger.py:1)",
                "StreamWriter.write (asyncio/streams.py:1)",
            ],
            "record",
        ),
        (["StreamReaderProtocol.data_received (asyncio/streams.py:1)"], "read"),
    ],
)
def test_a_sample_belongs_to_the_innermost_frame_that_says_whose_it_is(
    frames: list[str], stage: str
) -> None:
    assert stages.stage_of([*OUTER, *frames]) == stage


def test_shares_of_the_whole() -> None:
    raw = ["a (campaignd/net/pool.py:1) 3", "b (campaignd/compose/mime.py:1);c (x.py:2) 1", "junk"]
    found = stages.microseconds(stages.by_stage(raw), 60.0)
    assert found == {"read": 0, "compose": 15, "SMTP": 45, "record": 0, "rest": 0}
