// Providers whose official library makes the signature itself.
import { createHash } from "node:crypto";
import adyen from "@adyen/api-library";
import { signRequest, verifyRequest } from "@contentful/node-apps-toolkit";
import hubspot from "@hubspot/api-client";
import { sign as signGithub, verify as verifyGithub } from "@octokit/webhooks-methods";
import { encodeSignatureHeader, isValidSignature } from "@sanity/webhook";
import { WorkOS } from "@workos-inc/node";
import braintree from "braintree";
import coinbase from "coinbase-commerce-node";
import { AccessToken, WebhookReceiver } from "livekit-server-sdk";
import messagebird from "messagebird/lib/signature.js";
import ModernTreasury from "modern-treasury";
import { Webhook as StandardWebhook } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as SvixWebhook } from "svix";
import twilio from "twilio";
import { event, form, id, json, seconds, secret, whsec } from "./material.mjs";

const stripe = new Stripe("sk_test_nobody");
const workos = new WorkOS("sk_test_nobody", { clientId: "client_nobody" });
const treasury = new ModernTreasury({ organizationID: "o", apiKey: "k", webhookKey: secret });
const adyenKey = Buffer.from(secret).toString("hex");
const adyenHmac = new adyen.hmacValidator();
const contentfulSecret = "a".repeat(64);
const gateway = new braintree.BraintreeGateway({
  environment: braintree.Environment.Sandbox,
  merchantId: "merchant",
  publicKey: "public",
  privateKey: secret,
});

// As `contentful` signs it: method, path, headers and body.
const canonical = (request, url) => ({
  method: "POST",
  path: new URL(url).pathname,
  headers: request.headers,
  body: request.body,
});

// MessageBird's library takes a request as Express has it.
const express = ({ headers, body }) => ({ headers, body, query: {} });

const cases = [
  {
    provider: "adyen",
    library: "@adyen/api-library",
    config: { secret: adyenKey },
    request: () => {
      const item = {
        amount: { currency: "EUR", value: 1999 },
        eventCode: "AUTHORISATION",
        merchantAccountCode: "Café",
        merchantReference: "order",
        originalReference: "",
        pspReference: id(),
        success: "true",
      };
      item.additionalData = { hmacSignature: adyenHmac.calculateHmac(item, adyenKey) };
      const body = { live: "false", notificationItems: [{ NotificationRequestItem: item }] };
      return { headers: json, body: JSON.stringify(body) };
    },
    accepts: ({ body }) => {
      const [item] = JSON.parse(body).notificationItems;
      return adyenHmac.validateHMAC(item.NotificationRequestItem, adyenKey);
    },
    hasId: true,
  },
  {
    provider: "braintree",
    library: "braintree",
    config: { secret, publicKey: "public" },
    request: () => {
      const kind = braintree.WebhookNotification.Kind.SubscriptionWentPastDue;
      const fields = gateway.webhookTesting.sampleNotification(kind, "subscription");
      return { headers: form, body: new URLSearchParams(fields).toString() };
    },
    accepts: ({ body }) => {
      const fields = new URLSearchParams(body);
      return gateway.webhookNotification.parse(fields.get("bt_signature"), fields.get("bt_payload"));
    },
    change: ["bt_payload=PG5v", "bt_payload=PG5w"],
  },
  {
    provider: "coinbase-commerce",
    library: "coinbase-commerce-node",
    config: { secret },
    request: () => {
      const body = event({ id: 1, event: { id: id(), type: "charge:confirmed" } });
      const signature = coinbase.Webhook.computeSignature(body, secret);
      return { headers: { ...json, "x-cc-webhook-signature": signature }, body };
    },
    accepts: ({ headers, body }) =>
      coinbase.Webhook.verifyEventBody(body, headers["x-cc-webhook-signature"], secret),
    hasId: true,
  },
  {
    provider: "contentful",
    library: "@contentful/node-apps-toolkit",
    config: { secret: contentfulSecret },
    request: (url) => {
      const headers = { ...json, "x-contentful-topic": "ContentManagement.Entry.publish" };
      const request = { headers, body: event({}) };
      const signature = signRequest(contentfulSecret, canonical(request, url), Date.now());
      return { ...request, headers: { ...headers, ...signature } };
    },
    accepts: (request, url) => verifyRequest(contentfulSecret, canonical(request, url), 30),
  },
  {
    provider: "github",
    library: "@octokit/webhooks-methods",
    config: { secret },
    request: async () => {
      const body = event({ action: "opened" });
      const signature = await signGithub(secret, body);
      const about = { "x-github-event": "issues", "x-github-delivery": id() };
      return { headers: { ...json, ...about, "x-hub-signature-256": signature }, body };
    },
    accepts: ({ headers, body }) => verifyGithub(secret, body, headers["x-hub-signature-256"]),
    hasId: true,
  },
  ...["v2", "v3"].map((signatureVersion) => ({
    provider: `hubspot-${signatureVersion}`,
    library: "@hubspot/api-client",
    config: { secret },
    request: (url) => {
      const body = `[${event({ eventId: 1, subscriptionType: "contact.creation" })}]`;
      const timestamp = Date.now();
      const given = { clientSecret: secret, requestBody: body, url, timestamp };
      const signature = hubspot.Signature.getSignature("POST", signatureVersion, given);
      const name = `x-hubspot-signature${signatureVersion === "v3" ? "-v3" : ""}`;
      const time = { "x-hubspot-request-timestamp": String(timestamp) };
      return { headers: { ...json, ...time, [name]: signature }, body };
    },
    accepts: ({ headers, body }, url) =>
      hubspot.Signature.isValid({
        signatureVersion,
        signature: headers["x-hubspot-signature-v3"] ?? headers["x-hubspot-signature"],
        timestamp: Number(headers["x-hubspot-request-timestamp"]),
        clientSecret: secret,
        requestBody: body,
        url,
      }),
  })),
  {
    provider: "livekit",
    library: "livekit-server-sdk",
    config: { secret, apiKey: "key" },
    request: async () => {
      const body = JSON.stringify({ event: "room_started", id: id(), createdAt: "1999" });
      const token = new AccessToken("key", secret);
      token.sha256 = createHash("sha256").update(body).digest("base64");
      const headers = { "content-type": "application/webhook+json" };
      return { headers: { ...headers, authorization: await token.toJwt() }, body };
    },
    accepts: ({ headers, body }) =>
      new WebhookReceiver("key", secret).receive(body, headers.authorization),
    hasId: true,
  },
  {
    provider: "messagebird-legacy",
    library: "messagebird",
    config: { secret },
    request: () => {
      const time = { "messagebird-request-timestamp": String(seconds()) };
      const request = { headers: { ...json, ...time }, body: event({}) };
      const signature = messagebird.generate(express(request), secret).toString("base64");
      return { ...request, headers: { ...request.headers, "messagebird-signature": signature } };
    },
    accepts: (request) => messagebird.validate(express(request), secret),
  },
  {
    provider: "modern-treasury",
    library: "modern-treasury",
    config: { secret },
    request: () => {
      const body = event({ event: "completed" });
      const signature = treasury.webhooks.getSignature(body);
      return { headers: { ...json, "x-topic": "payment_order", "x-signature": signature }, body };
    },
    accepts: ({ headers, body }) => treasury.webhooks.validateSignature(body, headers),
  },
  {
    provider: "sanity",
    library: "@sanity/webhook",
    config: { secret },
    request: async () => {
      const body = event({ _id: "document" });
      const signature = await encodeSignatureHeader(body, Date.now(), secret);
      const key = { "idempotency-key": id() };
      return { headers: { ...json, ...key, "sanity-webhook-signature": signature }, body };
    },
    accepts: ({ headers, body }) =>
      isValidSignature(body, headers["sanity-webhook-signature"], secret),
    hasId: true,
  },
  {
    provider: "standard-webhooks",
    library: "standardwebhooks",
    config: { secret: whsec },
    request: () => {
      const about = { id: id(), at: new Date(), body: event({ type: "invoice.paid" }) };
      const signature = new StandardWebhook(whsec).sign(about.id, about.at, about.body);
      const time = String(Math.floor(about.at / 1000));
      const signed = { "webhook-id": about.id, "webhook-timestamp": time };
      return {
        headers: { ...json, ...signed, "webhook-signature": signature },
        body: about.body,
      };
    },
    accepts: ({ headers, body }) => new StandardWebhook(whsec).verify(body, headers),
    hasId: true,
  },
  {
    provider: "stripe",
    library: "stripe",
    config: { secret: whsec },
    request: () => {
      const payload = event({ id: id(), object: "event", type: "invoice.paid" });
      const signature = stripe.webhooks.generateTestHeaderString({ payload, secret: whsec });
      return { headers: { ...json, "stripe-signature": signature }, body: payload };
    },
    accepts: ({ headers, body }) =>
      stripe.webhooks.constructEvent(body, headers["stripe-signature"], whsec),
    hasId: true,
  },
  {
    provider: "svix",
    library: "svix",
    config: { secret: whsec },
    request: () => {
      const about = { id: `msg_${id()}`, at: new Date(), body: event({ type: "invoice.paid" }) };
      const signature = new SvixWebhook(whsec).sign(about.id, about.at, about.body);
      const time = String(Math.floor(about.at / 1000));
      const signed = { "svix-id": about.id, "svix-timestamp": time };
      return { headers: { ...json, ...signed, "svix-signature": signature }, body: about.body };
    },
    accepts: ({ headers, body }) => {
      new SvixWebhook(whsec).verify(body, headers);
    },
    hasId: true,
  },
  {
    provider: "twilio",
    library: "twilio",
    config: { secret },
    request: (url) => {
      const fields = { CallSid: "CA1999", From: "+14158675309", Body: "naïve ☃ & more" };
      const signature = twilio.getExpectedTwilioSignature(secret, url, fields);
      const token = { "i-twilio-idempotency-token": id() };
      return {
        headers: { ...form, ...token, "x-twilio-signature": signature },
        body: new URLSearchParams(fields).toString(),
      };
    },
    accepts: ({ headers, body }, url) => {
      const fields = Object.fromEntries(new URLSearchParams(body));
      return twilio.validateRequest(secret, headers["x-twilio-signature"], url, fields);
    },
    hasId: true,
  },
  {
    provider: "workos",
    library: "@workos-inc/node",
    config: { secret },
    request: async () => {
      const body = JSON.stringify({ id: id(), event: "dsync.activated", data: { name: "1999" } });
      const time = Date.now();
      const signature = await workos.webhooks.computeSignature(time, JSON.parse(body), secret);
      return { headers: { ...json, "workos-signature": `t=${time}, v1=${signature}` }, body };
    },
    accepts: ({ headers, body }) =>
      workos.webhooks.verifyHeader({
        payload: JSON.parse(body),
        sigHeader: headers["workos-signature"],
        secret,
      }),
    hasId: true,
  },
];

export const signing = cases.map((one) => ({ ...one, signs: true }));
