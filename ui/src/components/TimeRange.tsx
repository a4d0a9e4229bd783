import { SegmentedControl } from "@mantine/core";

export const RANGES = ["1h", "6h", "24h", "7d", "30d"] as const;
export type Range = (typeof RANGES)[number];

const HOUR = 3_600_000;
const LENGTHS: Record<Range, number> = { "1h": HOUR, "6h": 6 * HOUR, "24h": 24 * HOUR, "7d": 168 * HOUR, "30d": 720 * HOUR };

export const isRange = (value: unknown): value is Range => RANGES.includes(value as Range);

/** The start of a range that ends now. */
export const since = (range: Range) => new Date(Date.now() - LENGTHS[range]).toISOString();

/** As fine as a chart of that range can show. */
export function granularity(range: Range): "minute" | "hour" | "day" {
  return range === "1h" || range === "6h" ? "minute" : range === "30d" ? "day" : "hour";
}

export function TimeRange({ value, onChange }: { value: Range; onChange: (range: Range) => void }) {
  return (
    <SegmentedControl
      size="xs"
      aria-label="Time range"
      data={RANGES.map((range) => ({ value: range, label: range }))}
      value={value}
      onChange={(chosen) => isRange(chosen) && onChange(chosen)}
    />
  );
}
