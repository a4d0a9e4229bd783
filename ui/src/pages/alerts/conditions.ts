/** What rules can be about: what the form asks for, and how a rule reads. */
import type { Schemas } from "../../api/client";
import { count, duration } from "../../format";

export type Condition = Schemas["AlertCondition"];
type Values = Record<string, string | number>;

export type Field = { name: string; label: string; description?: string } & (
  | { kind: "duration"; value: number; most?: number; minutes?: boolean }
  | { kind: "number"; value: number; unit?: string; most?: number }
  | { kind: "choice"; value: string; options: { value: string; label: string }[] }
  | { kind: "text"; placeholder: string; value: "" }
);

interface Kind {
  type: Condition["type"];
  label: string;
  about: string;
  fields: Field[];
}

const DAY = 86_400;

const WINDOW: Field = { name: "windowSecs", label: "Looking back", description: "Whole minutes, up to a day.", kind: "duration", value: 300, most: DAY, minutes: true };
const ENOUGH: Field = { name: "minAttempts", label: "Only with at least", description: "Fewer say nothing.", kind: "number", value: 10, unit: "attempts" };
const PER: Field = {
  name: "per", label: "Watched for", kind: "choice", value: "application",
  options: [
    { value: "organization", label: "Everything together" }, { value: "application", label: "Each application" },
    { value: "endpoint", label: "Each endpoint" },
  ],
};
const LATENCIES = [
  { value: "delivery", label: "From accepted to delivered" }, { value: "response", label: "Until the receiver answers" },
];
const PERCENTILES = [{ value: "95", label: "p95: 95 of 100 are faster" }, { value: "99", label: "p99: 99 of 100 are faster" }];

export const KINDS = {
  endpoint_failing: {
    type: "endpoint_failing", label: "An endpoint keeps failing", about: "Nothing has arrived at an endpoint for a while.",
    fields: [{ name: "forSecs", label: "Only failures for", kind: "duration", value: 900, most: 30 * DAY }],
  },
  endpoint_disabled: {
    type: "endpoint_disabled", label: "An endpoint was disabled", about: "Because it failed for days, or answered that it is gone. Not when somebody disables it.",
    fields: [],
  },
  backlog_age: {
    type: "backlog_age", label: "Deliveries are late", about: "Something has been due for too long, in all of the organization.",
    fields: [{ name: "overSecs", label: "Due for more than", kind: "duration", value: 300, most: 30 * DAY }],
  },
  success_rate_below: {
    type: "success_rate_below", label: "Too few attempts succeed", about: "The success rate falls below a share.",
    fields: [{ name: "percent", label: "Success rate below", kind: "number", value: 95, unit: "%", most: 100 }, WINDOW, ENOUGH, PER],
  },
  latency_above: {
    type: "latency_above", label: "It takes too long", about: "Deliveries or answers get slow.",
    fields: [
      { name: "latency", label: "What is timed", kind: "choice", value: "delivery", options: LATENCIES },
      { name: "percentile", label: "Measured at", kind: "choice", value: "95", options: PERCENTILES },
      { name: "millis", label: "Longer than", kind: "number", value: 5000, unit: "ms" }, WINDOW, ENOUGH, PER,
    ],
  },
  source_share: {
    type: "source_rejecting", label: "A source refuses a share of its requests", about: "More than a share of what an inbound URL gets is not genuine.",
    fields: [
      { name: "share", label: "More refused than", kind: "number", value: 20, unit: "%", most: 100 }, WINDOW,
      { name: "minRequests", label: "Only with at least", description: "Fewer say nothing.", kind: "number", value: 10, unit: "requests" },
    ],
  },
  source_count: {
    type: "source_rejecting", label: "A source refuses many requests", about: "More than a number of what an inbound URL gets is not genuine.",
    fields: [{ name: "count", label: "More refused than", kind: "number", value: 100, unit: "requests" }, WINDOW],
  },
  nothing_received: {
    type: "nothing_received", label: "Nothing is received", about: "An application or a source has had no message for a while.",
    fields: [
      { name: "appId", label: "Application or source", description: "Its id; of an application also its uid.", kind: "text", placeholder: "app_… or src_…", value: "" },
      { name: "windowSecs", label: "Nothing for", kind: "duration", value: 3600, most: 30 * DAY },
    ],
  },
} satisfies Record<string, Kind>;
export type KindName = keyof typeof KINDS;

export const fieldsOf = (name: KindName): Field[] => KINDS[name].fields;
export const isKind = (name: string | null): name is KindName => name !== null && name in KINDS;

export function kindOf(condition: Condition): KindName {
  if (condition.type !== "source_rejecting") return condition.type;
  return typeof condition.share === "number" ? "source_share" : "source_count";
}

/** As the API takes it. The form's fields are those of its kind. */
export function conditionOf(name: KindName, values: Values): Condition {
  const { percentile, ...rest } = values;
  return { type: KINDS[name].type, ...rest, ...(percentile && { percentile: Number(percentile) }) } as Condition;
}

/** What the form begins with. */
export function valuesOf(name: KindName, condition?: Condition): Values {
  const given = (condition ?? {}) as Record<string, string | number | null | undefined>;
  return Object.fromEntries(fieldsOf(name).map((field) => {
    const value = given[field.name] ?? field.value;
    return [field.name, field.kind === "choice" ? String(value) : value];
  }));
}

const PERS = { organization: "", application: ", for each application", endpoint: ", for each endpoint" };

const time = (seconds: number) => duration(seconds * 1000);

/** A condition as a sentence. */
export function sentence(condition: Condition): string {
  switch (condition.type) {
    case "endpoint_failing": return `An endpoint only fails for ${time(condition.forSecs)}`;
    case "endpoint_disabled": return "An endpoint was disabled because it failed or is gone";
    case "backlog_age": return `A delivery is due for more than ${time(condition.overSecs)}`;
    case "success_rate_below":
      return `Less than ${condition.percent} % of attempts succeed in ${time(condition.windowSecs)}${PERS[condition.per ?? "application"]}`;
    case "latency_above":
      return `${condition.latency === "delivery" ? "Delivery" : "Response"} time, p${condition.percentile}, above ${duration(condition.millis)} in ${time(condition.windowSecs)}${PERS[condition.per ?? "application"]}`;
    case "source_rejecting":
      return `A source refuses more than ${typeof condition.share === "number" ? `${condition.share} % of requests` : `${count(condition.count)} requests`} in ${time(condition.windowSecs)}`;
    case "nothing_received": return `${condition.appId} receives nothing for ${time(condition.windowSecs)}`;
  }
}
