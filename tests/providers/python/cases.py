"""Providers with their official Python libraries."""

import base64
import hashlib
import hmac
import json
import time
import urllib.parse
import uuid
from datetime import datetime, timezone

import stripe
from against import Case, Request
from boxsdk.object.webhook import Webhook as BoxWebhook
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from discord_interactions import verify_key as discord_accepts
from sendgrid.helpers.eventwebhook import EventWebhook as SendGridWebhook
from slack_sdk.signature import SignatureVerifier as SlackVerifier
from square.utils.webhooks_helper import verify_signature as square_accepts
from standardwebhooks import Webhook as StandardWebhook
from svix.webhooks import Webhook as SvixWebhook
from telnyx import Telnyx
from twilio.request_validator import RequestValidator as TwilioValidator

SECRET = "a secret of the test, not of anybody"
WHSEC = "whsec_" + base64.b64encode(SECRET.encode()).decode()
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}

discord_key = ed25519.Ed25519PrivateKey.generate()
discord_public = discord_key.public_key().public_bytes_raw().hex()
sendgrid_key = ec.generate_private_key(ec.SECP256R1())
sendgrid_public = base64.b64encode(
    sendgrid_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
).decode()
telnyx_key = ed25519.Ed25519PrivateKey.generate()
telnyx_public = base64.b64encode(telnyx_key.public_key().public_bytes_raw()).decode()
telnyx = Telnyx(api_key="nobody", public_key=telnyx_public)
slack = SlackVerifier(SECRET)
twilio = TwilioValidator(SECRET)


def event(**fields: object) -> str:
    """An event with what it is to have, and a part that readers of JSON like to spell otherwise."""
    object = {"amount": 1999, "ratio": 1e21, "note": "naïve ☃ / \u2028"}
    return json.dumps({**fields, "object": object}, ensure_ascii=False)


def new_id() -> str:
    return str(uuid.uuid4())


def seconds() -> str:
    return str(int(time.time()))


def hmac_base64(*parts: str) -> str:
    mac = hmac.new(SECRET.encode(), "".join(parts).encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


def box(_: str) -> Request:
    body = event(type="webhook_event", trigger="FILE.UPLOADED")
    at = datetime.now(timezone.utc).isoformat(timespec="seconds")
    signed = {
        "box-delivery-id": new_id(),
        "box-delivery-timestamp": at,
        "box-signature-version": "1",
        "box-signature-algorithm": "HmacSHA256",
        "box-signature-primary": hmac_base64(body, at),
    }
    return Request(JSON | signed, body.encode())


def discord(_: str) -> Request:
    authorized = {"type": "APPLICATION_AUTHORIZED", "timestamp": "2026-01-01T00:00:00"}
    body = event(version=1, application_id="1", type=1, event=authorized).encode()
    at = seconds()
    signature = discord_key.sign(at.encode() + body).hex()
    return Request(JSON | {"x-signature-timestamp": at, "x-signature-ed25519": signature}, body)


def sendgrid(_: str) -> Request:
    body = f"[{event(event='delivered', sg_event_id=new_id())}]\r\n"
    at = seconds()
    signature = sendgrid_key.sign((at + body).encode(), ec.ECDSA(hashes.SHA256()))
    name = "x-twilio-email-event-webhook"
    signed = {
        f"{name}-timestamp": at,
        f"{name}-signature": base64.b64encode(signature).decode(),
    }
    return Request(JSON | signed, body.encode())


def slack_event(_: str) -> Request:
    body = event(type="event_callback", event_id=new_id(), event={"type": "message"})
    at = seconds()
    signature = slack.generate_signature(timestamp=at, body=body)
    signed = {"x-slack-request-timestamp": at, "x-slack-signature": signature}
    return Request(JSON | signed, body.encode())


def square(url: str) -> Request:
    body = event(event_id=new_id(), type="payment.updated")
    signature = hmac_base64(url, body)
    return Request(JSON | {"x-square-hmacsha256-signature": signature}, body.encode())


def standard(prefix: str, webhook: StandardWebhook | SvixWebhook) -> Request:
    """Standard Webhooks, under its own headers' names or under Svix's."""
    name, at, body = new_id(), datetime.now(timezone.utc), event(type="invoice.paid")
    signed = {
        f"{prefix}-id": name,
        f"{prefix}-timestamp": str(int(at.timestamp())),
        f"{prefix}-signature": webhook.sign(name, at, body),
    }
    return Request(JSON | signed, body.encode())


def stripe_event(_: str) -> Request:
    body = event(id=new_id(), type="invoice.paid")
    signature = stripe.WebhookSignature.generate_signature_header(body, WHSEC)
    return Request(JSON | {"stripe-signature": signature}, body.encode())


def telnyx_event(_: str) -> Request:
    body = event(data={"id": new_id(), "event_type": "message.received"}).encode()
    at = seconds()
    signature = base64.b64encode(telnyx_key.sign(f"{at}|".encode() + body)).decode()
    return Request(JSON | {"telnyx-timestamp": at, "telnyx-signature-ed25519": signature}, body)


def twilio_call(url: str) -> Request:
    fields = {"CallSid": "CA1999", "From": "+14158675309", "Body": "naïve ☃ & more"}
    signed = {
        "i-twilio-idempotency-token": new_id(),
        "x-twilio-signature": twilio.compute_signature(url, fields),
    }
    return Request(FORM | signed, urllib.parse.urlencode(fields).encode())


CASES = [
    Case(
        provider="box",
        library="boxsdk",
        signs=False,
        secret=SECRET,
        request=box,
        accepts=lambda r, _: BoxWebhook.validate_message(r.body, r.headers, SECRET),
        has_id=True,
    ),
    Case(
        provider="discord",
        library="discord-interactions",
        signs=False,
        secret=discord_public,
        request=discord,
        accepts=lambda r, _: discord_accepts(
            r.body,
            r.headers["x-signature-ed25519"],
            r.headers["x-signature-timestamp"],
            discord_public,
        ),
        has_id=False,
    ),
    Case(
        provider="sendgrid",
        library="sendgrid",
        signs=False,
        secret=sendgrid_public,
        request=sendgrid,
        accepts=lambda r, _: SendGridWebhook(sendgrid_public).verify_signature(
            r.body.decode(),
            r.headers["x-twilio-email-event-webhook-signature"],
            r.headers["x-twilio-email-event-webhook-timestamp"],
        ),
        has_id=False,
    ),
    Case(
        provider="slack",
        library="slack_sdk",
        signs=True,
        secret=SECRET,
        request=slack_event,
        accepts=lambda r, _: slack.is_valid_request(r.body, r.headers),
        has_id=True,
    ),
    Case(
        provider="square",
        library="squareup",
        signs=False,
        secret=SECRET,
        request=square,
        accepts=lambda r, url: square_accepts(
            request_body=r.body.decode(),
            signature_header=r.headers["x-square-hmacsha256-signature"],
            signature_key=SECRET,
            notification_url=url,
        ),
        has_id=True,
    ),
    Case(
        provider="standard-webhooks",
        library="standardwebhooks",
        signs=True,
        secret=WHSEC,
        request=lambda _: standard("webhook", StandardWebhook(WHSEC)),
        accepts=lambda r, _: StandardWebhook(WHSEC).verify(r.body, r.headers),
        has_id=True,
    ),
    Case(
        provider="stripe",
        library="stripe",
        signs=True,
        secret=WHSEC,
        request=stripe_event,
        accepts=lambda r, _: stripe.Webhook.construct_event(
            r.body, r.headers["stripe-signature"], WHSEC
        ),
        has_id=True,
    ),
    Case(
        provider="svix",
        library="svix",
        signs=True,
        secret=WHSEC,
        request=lambda _: standard("svix", SvixWebhook(WHSEC)),
        accepts=lambda r, _: SvixWebhook(WHSEC).verify(r.body, r.headers),
        has_id=True,
    ),
    Case(
        provider="telnyx",
        library="telnyx",
        signs=False,
        secret=telnyx_public,
        request=telnyx_event,
        accepts=lambda r, _: telnyx.webhooks.unwrap(r.body.decode(), headers=r.headers),
        has_id=True,
    ),
    Case(
        provider="twilio",
        library="twilio",
        signs=True,
        secret=SECRET,
        request=twilio_call,
        accepts=lambda r, url: twilio.validate(
            url,
            dict(urllib.parse.parse_qsl(r.body.decode())),
            r.headers["x-twilio-signature"],
        ),
        has_id=True,
    ),
]
