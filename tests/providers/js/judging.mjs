// Providers whose official library only judges signatures: these are made by the documented recipe.
import { generateKeyPairSync, sign } from "node:crypto";
import { verifyWebhook as verifyClerk } from "@clerk/backend/webhooks";
import { isValidWebhookSignature as fingerprintAccepts } from "@fingerprint/node-sdk";
import { validateSignature as lineAccepts } from "@line/bot-sdk";
import { LinearWebhookClient } from "@linear/sdk/webhooks";
import Mux from "@mux/mux-node";
import { WebhookEventVerifier as OnfidoVerifier } from "@onfido/api";
import { Paddle } from "@paddle/paddle-node-sdk";
import "@shopify/shopify-api/adapters/web-api";
import { ApiVersion, LogSeverity, shopifyApi } from "@shopify/shopify-api";
import slack from "@slack/bolt";
import discord from "discord-interactions";
import { verifySignature as gocardlessAccepts } from "gocardless-nodejs/webhooks";
import Lithic from "lithic";
import OpenAI from "openai";
import Pusher from "pusher";
import Razorpay from "razorpay";
import { Resend } from "resend";
import { event, hmac, id, json, seconds, secret, whsec } from "./material.mjs";

const mux = new Mux({ tokenId: "t", tokenSecret: "s", webhookSecret: secret });
const paddle = new Paddle("nobody");
const pusher = new Pusher({ appId: "1", key: "key", secret, cluster: "eu" });
const openai = new OpenAI({ apiKey: "nobody", webhookSecret: whsec });
const lithic = new Lithic({ apiKey: "nobody" });
const resend = new Resend("re_nobody");
const shopify = shopifyApi({
  apiKey: "key",
  apiSecretKey: secret,
  apiVersion: ApiVersion.January26,
  hostName: "receiver.example",
  isEmbeddedApp: false,
  logger: { level: LogSeverity.Error },
});
const discordKey = generateKeyPairSync("ed25519");
const discordPublic = Buffer.from(discordKey.publicKey.export({ format: "jwk" }).x, "base64url");

// Standard Webhooks, under its own headers' names or under Svix's.
function standard(prefix) {
  const [name, time, body] = [`msg_${id()}`, String(seconds()), event({ type: "email.sent" })];
  const signature = `v1,${hmac("base64", secret, `${name}.${time}.${body}`)}`;
  const signed = {
    [`${prefix}-id`]: name,
    [`${prefix}-timestamp`]: time,
    [`${prefix}-signature`]: signature,
  };
  return { headers: { ...json, ...signed }, body };
}

// A signature of nothing but the body, in a header of its own.
const ofBody = (header, encoding, body, prefix = "", about = {}) => ({
  headers: { ...json, ...about, [header]: prefix + hmac(encoding, secret, body) },
  body,
});

const bytes = (text) => Buffer.from(text);

export const judging = [
  {
    provider: "clerk",
    library: "@clerk/backend",
    config: { secret: whsec },
    request: () => standard("svix"),
    accepts: ({ headers, body }, url) =>
      verifyClerk(new Request(url, { method: "POST", headers, body }), { signingSecret: whsec }),
    hasId: true,
  },
  {
    provider: "discord",
    library: "discord-interactions",
    config: { publicKey: discordPublic.toString("hex") },
    request: () => {
      const time = String(seconds());
      const authorized = { type: "APPLICATION_AUTHORIZED", timestamp: "2026-01-01T00:00:00" };
      const body = event({ version: 1, application_id: "1", type: 1, event: authorized });
      const signature = sign(null, bytes(time + body), discordKey.privateKey).toString("hex");
      const signed = { "x-signature-timestamp": time, "x-signature-ed25519": signature };
      return { headers: { ...json, ...signed }, body };
    },
    accepts: ({ headers, body }) =>
      discord.verifyKey(
        body,
        headers["x-signature-ed25519"],
        headers["x-signature-timestamp"],
        discordPublic.toString("hex"),
      ),
  },
  {
    provider: "fingerprint",
    library: "@fingerprint/node-sdk",
    config: { secret },
    request: () => ofBody("fpjs-event-signature", "hex", event({ requestId: id() }), "v1="),
    accepts: ({ headers, body }) =>
      fingerprintAccepts({ header: headers["fpjs-event-signature"], data: bytes(body), secret }),
    hasId: true,
  },
  {
    provider: "gocardless",
    library: "gocardless-nodejs",
    config: { secret },
    request: () => {
      const events = [{ id: id(), action: "paid_out" }];
      return ofBody("webhook-signature", "hex", event({ events, meta: { webhook_id: id() } }));
    },
    accepts: ({ headers, body }) => gocardlessAccepts(body, secret, headers["webhook-signature"]),
    hasId: true,
  },
  {
    provider: "line",
    library: "@line/bot-sdk",
    config: { secret },
    request: () => ofBody("x-line-signature", "base64", event({ events: [{ type: "message" }] })),
    accepts: ({ headers, body }) => lineAccepts(body, secret, headers["x-line-signature"]),
  },
  {
    provider: "linear",
    library: "@linear/sdk",
    config: { secret },
    request: () => {
      const body = event({ action: "create", type: "Issue", webhookTimestamp: Date.now() });
      const about = { "linear-event": "Issue", "linear-delivery": id() };
      return ofBody("linear-signature", "hex", body, "", about);
    },
    accepts: ({ headers, body }) =>
      new LinearWebhookClient(secret).verify(bytes(body), headers["linear-signature"]),
    hasId: true,
  },
  {
    provider: "lithic",
    library: "lithic",
    config: { secret: whsec },
    request: () => standard("webhook"),
    accepts: ({ headers, body }) => lithic.webhooks.unwrap(body, headers, whsec),
    hasId: true,
  },
  {
    provider: "mux",
    library: "@mux/mux-node",
    config: { secret },
    request: () => {
      const [time, body] = [seconds(), event({ id: id(), type: "video.asset.ready" })];
      const signature = `t=${time},v1=${hmac("hex", secret, `${time}.${body}`)}`;
      return { headers: { ...json, "mux-signature": signature }, body };
    },
    accepts: ({ headers, body }) => mux.webhooks.verifySignature(body, headers),
    hasId: true,
  },
  {
    provider: "onfido",
    library: "@onfido/api",
    config: { secret },
    request: () =>
      ofBody("x-sha2-signature", "hex", event({ payload: { action: "check.completed" } })),
    accepts: ({ headers, body }) =>
      new OnfidoVerifier(secret).readPayload(body, headers["x-sha2-signature"]),
  },
  {
    provider: "openai",
    library: "openai",
    config: { secret: whsec },
    request: () => standard("webhook"),
    accepts: ({ headers, body }) => openai.webhooks.unwrap(body, headers),
    hasId: true,
  },
  {
    provider: "paddle",
    library: "@paddle/paddle-node-sdk",
    config: { secret },
    request: () => {
      const [time, body] = [seconds(), event({ event_id: id(), event_type: "customer.created" })];
      const signature = `ts=${time};h1=${hmac("hex", secret, `${time}:${body}`)}`;
      return { headers: { ...json, "paddle-signature": signature }, body };
    },
    accepts: ({ headers, body }) =>
      paddle.webhooks.isSignatureValid(body, secret, headers["paddle-signature"]),
    hasId: true,
  },
  {
    provider: "pusher",
    library: "pusher",
    config: { secret },
    request: () =>
      ofBody("x-pusher-signature", "hex", event({ events: [] }), "", { "x-pusher-key": "key" }),
    accepts: ({ headers, body }) => pusher.webhook({ headers, rawBody: body }).isValid(),
  },
  {
    provider: "razorpay",
    library: "razorpay",
    config: { secret },
    request: () => {
      const about = { "x-razorpay-event-id": id() };
      return ofBody("x-razorpay-signature", "hex", event({ event: "order.paid" }), "", about);
    },
    accepts: ({ headers, body }) =>
      Razorpay.validateWebhookSignature(body, headers["x-razorpay-signature"], secret),
    hasId: true,
  },
  {
    provider: "resend",
    library: "resend",
    config: { secret: whsec },
    request: () => standard("svix"),
    accepts: ({ headers, body }) =>
      resend.webhooks.verify({
        payload: body,
        headers: {
          id: headers["svix-id"],
          timestamp: headers["svix-timestamp"],
          signature: headers["svix-signature"],
        },
        webhookSecret: whsec,
      }),
    hasId: true,
  },
  {
    provider: "shopify",
    library: "@shopify/shopify-api",
    config: { secret },
    request: () => {
      const about = {
        "x-shopify-topic": "orders/create",
        "x-shopify-shop-domain": "shop.myshopify.com",
        "x-shopify-api-version": "2026-01",
        "x-shopify-webhook-id": id(),
        "x-shopify-event-id": id(),
      };
      return ofBody("x-shopify-hmac-sha256", "base64", event({ id: 1 }), "", about);
    },
    accepts: async ({ headers, body }, url) => {
      const rawRequest = new Request(url, { method: "POST", headers, body });
      return (await shopify.webhooks.validate({ rawBody: body, rawRequest })).valid;
    },
    hasId: true,
  },
  {
    provider: "slack",
    library: "@slack/bolt",
    config: { secret },
    request: () => {
      const time = String(seconds());
      const body = event({ type: "event_callback", event_id: id(), event: { type: "message" } });
      const signature = `v0=${hmac("hex", secret, `v0:${time}:${body}`)}`;
      const signed = { "x-slack-request-timestamp": time, "x-slack-signature": signature };
      return { headers: { ...json, ...signed }, body };
    },
    accepts: ({ headers, body }) =>
      slack.isValidSlackRequest({ signingSecret: secret, body, headers }),
    hasId: true,
  },
];
