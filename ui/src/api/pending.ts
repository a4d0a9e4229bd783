/** Routes that `openapi.json` does not describe yet, typed by hand. */
import { authorized } from "./client";

export type Measure =
  | "messages" | "bytes" | "attempts" | "successes" | "failures" | "retries" | "successRate"
  | "responseP50" | "responseP95" | "responseP99" | "deliveryP50" | "deliveryP95" | "deliveryP99"
  | "duplicates" | "rejected";

export type AnalyticsRow = {
  time?: string;
  appId?: string;
  appName?: string;
  endpointId?: string;
  eventType?: string;
  outcome?: string;
} & { [measure in Measure]?: number | null };

export interface Analytics {
  since: string;
  until: string;
  granularity: string;
  rows: AnalyticsRow[];
  truncated: boolean;
  asOf: string;
}

export interface FailingEndpoint {
  appId: string;
  appName: string;
  endpointId: string;
  url: string;
  description: string;
  failingSince: string;
  disabled: boolean;
}

export interface Backlog {
  pending: number;
  oldestDue: string | null;
  apps: { appId: string; appName: string; pending: number }[];
}

export interface LaneState {
  here: boolean;
  /** The rest is known where the endpoint is sent to. */
  breaker?: "closed" | "open" | "half_open" | null;
  heldUntil?: string | null;
  window?: number | null;
  inFlight?: number | null;
  queued?: number | null;
  cold?: boolean | null;
  throttled?: boolean | null;
}

export interface Task {
  id: string;
  status: "running" | "finished" | "failed";
  task: string;
  updatedAt: string;
  state?: "running" | "paused" | "cancelled" | "finished" | "failed";
  data: { messagesSent?: number; total?: number | null; scanned?: number; appId?: string; endpointId?: string };
}

export interface NodeRow {
  id: string;
  name: string;
  version: string;
  startedAt: string;
  silentForMs: number;
  leaving: boolean;
  shards: number;
  epoch: number;
  overdueLanes: number | null;
  oldestOverdue: string | null;
}

export interface StoreState {
  kind: "sqlite" | "postgres";
  bytes: number;
  walBytes: number;
  pending: number;
  oldestDue?: string | null;
  unscheduled: number;
  queued: number;
  full: boolean;
  retention: { historySecs: number; payloadSecs: number };
}

export interface TokenRow {
  id: string;
  kind: "organization" | "application";
  appId?: string | null;
  name?: string | null;
  scope: "full" | "read";
  createdAt: string;
  expiresAt: string;
  lastUsedAt: string | null;
  revoked: boolean;
}

export interface AuditRow {
  id: string;
  at: string;
  actor: string;
  action: string;
  target: string;
  detail: unknown;
}

export interface Paged<T> {
  data: T[];
  iterator: string | null;
  done: boolean;
}

export interface LiveMessage {
  id: string;
  appId: string;
  appName: string;
  eventType: string;
  eventId?: string | null;
  timestamp: string;
  endpoints: number;
}

export interface LiveAttempt {
  id: string;
  appId: string;
  appName: string;
  endpointId: string;
  msgId: string;
  eventType: string;
  url: string;
  status: "success" | "fail";
  responseStatusCode: number;
  responseDurationMs: number;
  outcome: string;
  number: number;
  triggerType: number | string;
  timestamp: string;
}

export interface Validation {
  valid: boolean;
  errors: { path: string; message: string }[];
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** A path with the parameters that have a value. */
export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

export async function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await authorized(withQuery(path, query), { signal: signal ?? null });
  return response.json();
}

export async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await authorized(path, init);
  const text = await response.text();
  return (text ? JSON.parse(text) : null) as T;
}

export function analytics(query: Query, signal?: AbortSignal): Promise<Analytics> {
  return get("/api/v1/analytics/query", query, signal);
}
