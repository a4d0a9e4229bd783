/** What went on over a time: figures and charts of an organization, an application or an endpoint. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { analytics, type AnalyticsRow, type Measure } from "../api/analytics";
import { count, duration, percent } from "../format";
import { Chart, type Line } from "./Chart";
import { Figure, Section } from "./Page";
import { ErrorState } from "./states";
import { granularity, since, type Range } from "./TimeRange";

const MEASURES: Measure[] = [
  "messages", "attempts", "successes", "failures", "successRate", "deliveryP50", "deliveryP95", "deliveryP99", "responseP95",
];
const STEPS = { minute: 60, hour: 3_600, day: 86_400 };

/** Whose traffic. */
export interface Of {
  appId?: string;
  endpointId?: string;
}

function useAnalytics(of: Of, range: Range, step: "minute" | "hour" | "day" | "total") {
  return useQuery({
    queryKey: ["analytics", of, range, step],
    queryFn: ({ signal }) => {
      const timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      return analytics({ ...of, measures: MEASURES.join(), granularity: step, since: since(range), timeZone }, signal);
    },
    refetchInterval: (query) => (query.state.error ? false : 5_000),
    placeholderData: (before) => before,
  });
}

export function TrafficFigures({ of, range }: { of: Of; range: Range }) {
  const { data } = useAnalytics(of, range, "total");
  const row: AnalyticsRow | undefined = data?.rows[0];
  const zero = data && !row ? 0 : null;
  const rate = row?.successRate;
  return (
    <>
      <Figure name="Messages" value={count(row?.messages ?? zero)} note="accepted" />
      <Figure name="Attempts" value={count(row?.attempts ?? zero)} note={row ? `${count(row.failures)} failed` : undefined} />
      <Figure name="Success rate" value={percent(rate)} note="of attempts" {...(typeof rate === "number" && rate < 0.95 && { tone: "bad" as const })} />
      <Figure name="Delivery time, p95" value={duration(row?.deliveryP95)} note={row ? `median ${duration(row.deliveryP50)}` : undefined} />
    </>
  );
}

export function TrafficCharts({ of, range }: { of: Of; range: Range }) {
  const step = granularity(range);
  const { data, error, refetch } = useAnalytics(of, range, step);
  const filled = useMemo(() => data && fill(data.rows, data.since, data.until, STEPS[step]), [data, step]);
  if (error) return <div className="hw-card"><ErrorState error={error} retry={() => void refetch()} /></div>;
  const times = filled?.times ?? [];
  const line = (label: string, measure: Measure, color: string, zero: number | null, filling = false): Line => ({
    label, color, fill: filling, values: filled?.rows.map((row) => row?.[measure] ?? zero) ?? [],
  });
  return (
    <div className="hw-columns">
      <Section title="Attempts" description={`per ${step}`}>
        <Chart
          label="Attempts over time"
          times={times}
          format={count}
          lines={[line("Succeeded", "successes", "--hw-good", 0, true), line("Failed", "failures", "--hw-bad", 0, true)]}
        />
      </Section>
      <Section title="Delivery time" description="from the event to its first success">
        <Chart
          label="Delivery time over time"
          times={times}
          format={duration}
          lines={[
            line("p50", "deliveryP50", "--hw-info", null),
            line("p95", "deliveryP95", "--hw-warn", null),
            line("p99", "deliveryP99", "--hw-bad", null),
          ]}
        />
      </Section>
    </div>
  );
}

/** One row for each step, or none where nothing happened. Days may be 23 or 25 hours: rows keep their own times. */
function fill(rows: AnalyticsRow[], from: string, until: string, step: number) {
  const byTime = new Map(rows.map((row) => [Date.parse(row.time ?? "") / 1000, row]));
  const last = Date.parse(until) / 1000;
  const offset = byTime.size ? [...byTime.keys()][0]! % step : 0;
  const times = new Set(byTime.keys());
  for (let at = Math.ceil((Date.parse(from) / 1000 - offset) / step) * step + offset; at <= last; at += step) {
    if (step < 86_400 || ![...times].some((time) => Math.abs(time - at) < step / 2)) times.add(at);
  }
  const sorted = [...times].sort((a, b) => a - b);
  return { times: sorted, rows: sorted.map((time) => byTime.get(time)) };
}
