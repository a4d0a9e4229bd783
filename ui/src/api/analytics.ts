/** Measures of the traffic. What rows hold is asked for, so `openapi.json` leaves it open. */
import { api } from "./client";
import type { operations } from "./schema";

export type Measure =
  | "messages" | "attempts" | "successes" | "failures" | "successRate"
  | "deliveryP50" | "deliveryP95" | "deliveryP99" | "responseP95";

export type AnalyticsRow = { time?: string; appId?: string; appName?: string } & { [measure in Measure]?: number | null };

type Query = operations["v1.analytics.query"]["parameters"]["query"];

export async function analytics(query: Query, signal: AbortSignal) {
  const { data } = await api.GET("/api/v1/analytics/query", { params: { query }, signal });
  return { ...data!, rows: data!.rows as AnalyticsRow[] };
}
