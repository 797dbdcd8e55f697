"""When the onlookers that ask seldom are called."""

from tunesmith.doctor.probes.watcher_further import _following
from tunesmith.doctor.probes.watcher_peep import due


def test_the_next_call_is_the_next_look_or_the_update_before_it():
    called = [call for call in range(1, 3000) if due(call) or due(call + 1)]

    assert [_following(call) for call in called[:-1]] == called[1:]
