"""A full life with the official Python clients against a running server.

HOOKWRIGHT_TEST_URL and HOOKWRIGHT_TEST_TOKEN say where it is; its retry schedule must be short.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TypeVar

from receiver import Arrival, Receiver
from standardwebhooks import Webhook as StandardWebhook
from svix import webhooks as svix_webhooks
from svix.api import (
    ApplicationIn,
    AppUsageStatsIn,
    BulkReplayIn,
    CronConfig,
    EndpointIn,
    EndpointSecretRotateIn,
    EventTypeIn,
    EventTypeListOptions,
    IngestEndpointHeadersIn,
    IngestEndpointIn,
    IngestEndpointSecretIn,
    IngestEndpointUpsertIn,
    IngestSourceConsumerPortalAccessIn,
    IngestSourceIn,
    MessageAttemptListAttemptedMessagesOptions,
    MessageAttemptListByEndpointOptions,
    MessageAttemptListByMsgOptions,
    MessageCreateOptions,
    MessageIn,
    MessageStatus,
    RecoverIn,
    ReplayIn,
    StripeConfig,
    Svix,
    SvixOptions,
)
from svix.exceptions import HttpError, HTTPValidationError

T = TypeVar("T")
PAYLOAD = {"invoice": "in_42", "amount": 4200, "note": "naïve ☃"}
EVENT_TYPE = f"invoice.paid.py{os.getpid()}"

svix = Svix(
    os.environ["HOOKWRIGHT_TEST_TOKEN"],
    SvixOptions(server_url=os.environ["HOOKWRIGHT_TEST_URL"]),
)
receiver = Receiver()


def verified(arrival: Arrival, secret: str) -> Arrival:
    """Both libraries must accept the arrival, and see the payload that was sent."""
    svix_webhooks.Webhook(secret).verify(arrival.body, dict(arrival.headers))
    seen = StandardWebhook(secret).verify(arrival.body, dict(arrival.headers))
    assert seen == PAYLOAD, seen
    return arrival


def refused(secret: str, arrival: Arrival) -> bool:
    try:
        verified(arrival, secret)
    except svix_webhooks.WebhookVerificationError:
        return True
    return False


def eventually(what: str, read: Callable[[], T | None], seconds: float = 30) -> T:
    """Polls until `read` gives something."""
    until = time.monotonic() + seconds
    while (value := read()) is None:
        assert time.monotonic() < until, f"{what}: not within {seconds} s"
        time.sleep(0.05)
    return value


def fails(status: int, error: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except error as e:
        assert e.status_code == status, e
    else:
        raise AssertionError(f"expected status {status}")


class Life:
    """One application from its creation to its deletion; the steps run in the order written."""

    def create_an_application(self) -> None:
        uid = f"life-py-{os.getpid()}"
        new = ApplicationIn(name="Life", uid=uid, metadata={"plan": "gold"})
        self.app = svix.application.create(new)
        assert self.app.id.startswith("app_")
        assert svix.application.get(uid).metadata == {"plan": "gold"}
        again = svix.application.get_or_create(ApplicationIn(name="Other", uid=uid))
        assert again.id == self.app.id

    def create_an_event_type(self) -> None:
        created = svix.event_type.create(EventTypeIn(name=EVENT_TYPE, description="Paid"))
        assert created.name == EVENT_TYPE
        listed = svix.event_type.list(EventTypeListOptions(limit=250))
        assert EVENT_TYPE in [t.name for t in listed.data]

    def create_an_endpoint(self) -> None:
        new = EndpointIn(url=receiver.url, event_types=[EVENT_TYPE])
        self.endpoint = svix.endpoint.create(self.app.id, new)
        self.secret = svix.endpoint.get_secret(self.app.id, self.endpoint.id).key
        assert self.secret.startswith("whsec_")
        assert [e.id for e in svix.endpoint.list(self.app.id).data] == [self.endpoint.id]

    def send(self, event_id: str | None = None, key: str | None = None):
        new = MessageIn(event_type=EVENT_TYPE, event_id=event_id, payload=PAYLOAD)
        return svix.message.create(self.app.id, new, MessageCreateOptions(idempotency_key=key))

    def send_a_message_and_verify_its_arrival(self) -> None:
        event_id = f"life-{os.getpid()}"
        self.message = self.send(event_id)
        arrival = verified(receiver.next("the message"), self.secret)
        assert arrival.headers["webhook-id"] == self.message.id
        tampered = arrival._replace(body=arrival.body.replace(b"42", b"43"))
        assert refused(self.secret, tampered)
        assert svix.message.get(self.app.id, event_id).id == self.message.id
        fails(409, HttpError, lambda: self.send(event_id))

    def send_twice_with_one_idempotency_key(self) -> None:
        key = f"life-key-{os.getpid()}"
        first, again = self.send(key=key), self.send(key=key)
        assert first.id == again.id
        assert receiver.next("the keyed one").headers["webhook-id"] == first.id

    def attempts(self, message_id: str, count: int):
        def read():
            options = MessageAttemptListByMsgOptions(with_content=True)
            found = svix.message_attempt.list_by_msg(self.app.id, message_id, options).data
            return found if len(found) >= count else None

        return eventually(f"{count} attempts", read)

    def list_the_attempts(self) -> None:
        [attempt] = self.attempts(self.message.id, 1)
        assert (attempt.status, attempt.response_status_code) == (MessageStatus.SUCCESS, 200)
        assert attempt.response == "answered 200", attempt.response
        assert attempt.endpoint_id == self.endpoint.id
        same = svix.message_attempt.get(self.app.id, self.message.id, attempt.id)
        assert same.id == attempt.id

    def rotate_the_secret_old_and_new_verify(self) -> None:
        svix.endpoint.rotate_secret(self.app.id, self.endpoint.id, EndpointSecretRotateIn())
        rotated = svix.endpoint.get_secret(self.app.id, self.endpoint.id).key
        assert rotated != self.secret
        self.send()
        arrival = receiver.next("the message after rotation")
        verified(arrival, self.secret)
        verified(arrival, rotated)
        self.secret = rotated

    def resend(self) -> None:
        svix.message_attempt.resend(self.app.id, self.message.id, self.endpoint.id)
        arrival = verified(receiver.next("the resent message"), self.secret)
        assert arrival.headers["webhook-id"] == self.message.id
        attempts = self.attempts(self.message.id, 2)
        assert sorted(a.trigger_type for a in attempts) == [0, 1]

    def fail_then_recover(self) -> None:
        since = datetime.now(timezone.utc) - timedelta(seconds=1)
        receiver.status = 500
        failing = self.send()
        receiver.next("the first failing try")

        def given_up():
            options = MessageAttemptListAttemptedMessagesOptions(status=MessageStatus.FAIL)
            page = svix.message_attempt.list_attempted_messages(
                self.app.id, self.endpoint.id, options
            )
            return next((m for m in page.data if m.id == failing.id), None)

        eventually("the schedule's end", given_up)
        failed = self.attempts(failing.id, 2)
        assert {(a.status, a.response_status_code) for a in failed} == {(MessageStatus.FAIL, 500)}
        for _ in failed[1:]:
            receiver.next("a retry")
        receiver.status = 200
        task = svix.endpoint.recover(self.app.id, self.endpoint.id, RecoverIn(since=since))
        assert task.id.startswith("qtask_")
        arrival = verified(receiver.next("the recovered message"), self.secret)
        assert arrival.headers["webhook-id"] == failing.id

        def finished(task):
            found = svix.background_task.get(task.id)
            return found.data["messagesSent"] if found.status == "finished" else None

        assert eventually("the recovery's end", lambda: finished(task)) == 1
        again = BulkReplayIn(since=failing.timestamp, event_types=[EVENT_TYPE])
        replay = svix.endpoint.bulk_replay(self.app.id, self.endpoint.id, again)
        assert replay.task == "endpoint.bulk-replay"
        replayed = verified(receiver.next("the replayed message"), self.secret)
        assert replayed.headers["webhook-id"] == failing.id
        assert eventually("the replay's end", lambda: finished(replay)) == 1
        missing = svix.endpoint.replay_missing(self.app.id, self.endpoint.id, ReplayIn(since=since))
        assert eventually("the other replay's end", lambda: finished(missing)) == 0

    def statistics(self) -> None:
        now = datetime.now(timezone.utc)
        options = MessageAttemptListByEndpointOptions(limit=250)
        listed = svix.message_attempt.list_by_endpoint(self.app.id, self.endpoint.id, options)
        made = len(listed.data)

        def finished(task):
            found = svix.background_task.get(task.id)
            return found.data if found.status == "finished" else None

        def counted():
            """Counts are a few seconds old."""
            until = datetime.now(timezone.utc)
            asked = AppUsageStatsIn(since=now - timedelta(hours=1), until=until,
                                    app_ids=[self.app.uid, "nobody"])
            task = svix.statistics.aggregate_app_stats(asked)
            assert task.task == "application.stats"
            assert task.unresolved_app_ids == ["nobody"]
            (stats,) = eventually("the statistics' end", lambda: finished(task))["appStats"]
            assert (stats["appId"], stats["appUid"]) == (self.app.id, self.app.uid)
            return True if stats["messageDestinations"] == made else None

        eventually("all attempts are counted", counted)
        task = svix.statistics.aggregate_event_types()
        assert task.task == "event-type.aggregate"
        found = eventually("the event types", lambda: finished(task))["event_types"]
        (own,) = [types for types in found if types["appId"] == self.app.id]
        assert own["explicitlySubscribedEventTypes"] == [EVENT_TYPE]
        assert own["hasCatchAllEndpoint"] is False

    def a_source_and_its_url(self) -> None:
        api = svix.ingest.source
        uid = f"source-py-{os.getpid()}"
        config = StripeConfig(secret="whsec_a_secret")
        stripe = IngestSourceIn(name="Stripe", uid=uid, type="stripe", config=config)
        self.source = api.create(stripe)
        assert self.source.id.startswith("src_")
        assert "/in/" in self.source.ingest_url
        assert api.get(uid).id == self.source.id
        listed = api.list().data
        assert any(source.id == self.source.id for source in listed)
        schedule = CronConfig(schedule="0 6 * * *", payload="{}")
        daily = IngestSourceIn(name="Daily", uid=uid, type="cron", config=schedule)
        assert api.upsert(uid, daily).config.schedule == "0 6 * * *"
        api.upsert(uid, stripe)
        assert api.rotate_token(self.source.id).ingest_url != self.source.ingest_url
        read_only = IngestSourceConsumerPortalAccessIn(read_only=True)
        access = svix.ingest.authentication.consumer_portal_access(self.source.id, read_only)
        assert "#key=" in access.url and access.token

    def endpoints_of_a_source(self) -> None:
        api, source = svix.ingest.endpoint, self.source.id
        made = api.create(source, IngestEndpointIn(url=receiver.url, uid="mine"))
        assert api.get(source, "mine").id == made.id
        assert [endpoint.id for endpoint in api.list(source).data] == [made.id]
        put = IngestEndpointUpsertIn(url=receiver.url, uid="mine", description="changed")
        assert api.upsert(source, made.id, put).description == "changed"
        key = api.get_secret(source, made.id).key
        api.rotate_secret(source, made.id, IngestEndpointSecretIn())
        assert api.get_secret(source, made.id).key != key
        api.set_headers(source, made.id, IngestEndpointHeadersIn(headers={"x-a": "b"}))
        assert api.get_headers(source, made.id).headers == {"x-a": "b"}
        api.delete(source, made.id)
        fails(404, HttpError, lambda: api.get(source, made.id))
        svix.ingest.source.delete(source)
        fails(404, HttpError, lambda: svix.ingest.source.get(source))

    def errors_are_the_clients_own(self) -> None:
        fails(404, HttpError, lambda: svix.application.get("app_nobody"))
        bad = EndpointIn(url="ftp://example.com")
        fails(422, HTTPValidationError, lambda: svix.endpoint.create(self.app.id, bad))

    def delete(self) -> None:
        svix.endpoint.delete(self.app.id, self.endpoint.id)
        fails(404, HttpError, lambda: svix.endpoint.get(self.app.id, self.endpoint.id))
        svix.application.delete(self.app.id)
        fails(404, HttpError, lambda: svix.application.get(self.app.id))


STEPS = [
    Life.create_an_application,
    Life.create_an_event_type,
    Life.create_an_endpoint,
    Life.send_a_message_and_verify_its_arrival,
    Life.send_twice_with_one_idempotency_key,
    Life.list_the_attempts,
    Life.rotate_the_secret_old_and_new_verify,
    Life.resend,
    Life.fail_then_recover,
    Life.statistics,
    Life.a_source_and_its_url,
    Life.endpoints_of_a_source,
    Life.errors_are_the_clients_own,
    Life.delete,
]


def main() -> int:
    """Each step needs the ones before it: the first that fails ends the life."""
    life = Life()
    for passed, step in enumerate(STEPS):
        name = step.__name__.replace("_", " ")
        try:
            step(life)
        except Exception:
            traceback.print_exc()
            print(f"{name} ... FAILED\n{passed} passed, 1 failed, {len(STEPS) - passed - 1} skipped")
            return 1
        print(f"{name} ... ok", flush=True)
    print(f"{len(STEPS)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
