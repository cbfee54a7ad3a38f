"""Random histories of several devices against a model: no edit is lost or doubled, and all converge."""

import itertools
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.conftest import PASSWORD
from tests.middle import POST_WALLET, Middle
from walletsync import Client
from walletsync.errors import ServerUnreachable
from walletsync.merge import MISSING
from walletsync_server.testing import RunningServer

NAMES = ["laptop", "phone", "tablet"]
KEYS = ["a", "b", "c"]
_addresses = (f"machine{number}@example.com" for number in itertools.count(1))


class Devices(RuleBasedStateMachine):
    """Three devices of an account edit keys of one object, sync, lose answers, and decide conflicts.

    The model is what each device should have of every edit: values are unique, so each one that somebody wrote is
    somewhere, or was replaced by somebody who had seen it.
    """

    middle: Middle

    def __init__(self) -> None:
        super().__init__()
        self.devices: dict[str, Client] = {}
        self.values = itertools.count(1)
        self.replaced: set[int] = set()
        self.written: set[int] = set()

    @initialize()
    def sign_up(self) -> None:
        email = next(_addresses)
        for name in NAMES:
            client = Client(self.middle.url, device_id=name)
            client.set_account(email, PASSWORD)
            if name == NAMES[0]:
                client.register()
            client.get_auth_token()
            self.devices[name] = client
        self.devices[NAMES[0]].set_document({})
        for client in self.devices.values():
            client.sync()

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from(KEYS))
    def edit(self, name: str, key: str) -> None:
        document = self.devices[name].get_document()
        self._seen_and_replaced(document.get(key))
        document[key] = next(self.values)
        self.written.add(document[key])
        self.devices[name].set_document(document)

    @rule(name=st.sampled_from(NAMES), key=st.sampled_from(KEYS))
    def delete(self, name: str, key: str) -> None:
        document = self.devices[name].get_document()
        self._seen_and_replaced(document.pop(key, None))
        self.devices[name].set_document(document)

    @rule(name=st.sampled_from(NAMES))
    def get(self, name: str) -> None:
        self.devices[name].get_wallet()

    @rule(name=st.sampled_from(NAMES))
    def post(self, name: str) -> None:
        self.devices[name].post_wallet()

    @rule(name=st.sampled_from(NAMES))
    def sync(self, name: str) -> None:
        client = self.devices[name]
        client.sync()
        assert not client.has_local_changes

    @rule(name=st.sampled_from(NAMES), arrives=st.booleans())
    def post_over_a_broken_wire(self, name: str, arrives: bool) -> None:
        (self.middle.lose_answer if arrives else self.middle.lose_request)(POST_WALLET)
        with pytest.raises(ServerUnreachable):
            self.devices[name].post_wallet()

    @rule(name=st.sampled_from(NAMES), keep=st.sampled_from(["mine", "theirs"]))
    def decide(self, name: str, keep: Any) -> None:
        client = self.devices[name]
        for conflict in client.conflicts[:1]:
            at_present = client.get_document().get(conflict.path[0])
            self._seen_and_replaced(at_present if keep == "mine" else conflict.mine)
            client.resolve(conflict, keep)

    @invariant()
    def no_edit_is_lost(self) -> None:
        kept: set[Any] = set()
        for client in self.devices.values():
            kept |= set(client.get_document().values())
            kept |= {conflict.mine for conflict in client.conflicts}
        assert self.written - self.replaced <= kept

    def teardown(self) -> None:
        for client in (*self.devices.values(), *self.devices.values()):
            client.sync()
        states = [client.wallet_state for client in self.devices.values()]
        documents = [client.get_document() for client in self.devices.values()]
        assert all(state == states[0] for state in states)
        assert all(document == documents[0] for document in documents)
        for client in self.devices.values():
            client.close()

    def _seen_and_replaced(self, value: Any) -> None:
        if value is not None and value is not MISSING:
            self.replaced.add(value)


@pytest.mark.promise("S-7")
@pytest.mark.timeout(600)
def test_any_history_of_three_devices_keeps_every_edit_and_converges(running_server: RunningServer) -> None:
    """Hypothesis looks for a history that loses an edit or leaves devices apart, and finds none."""
    with Middle(running_server.url) as middle:

        class Here(Devices):
            pass

        Here.middle = middle
        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=40,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
            ),
        )
