// The event type that all tests use, with an example to send.
import { api } from "./browser.mjs";

const SCHEMA = { type: "object", properties: { id: { type: "string" } }, required: ["id"], examples: [{ id: "usr_1" }] };

export const userCreated = () =>
  api("PUT", "/api/v1/event-type/user.created", { description: "Somebody signed up", groupName: "user", schemas: { 1: SCHEMA } });
