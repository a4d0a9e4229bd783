/** Lines over time, by uPlot, which loads when a chart is shown. */
import { Skeleton, useComputedColorScheme } from "@mantine/core";
import { lazy, Suspense } from "react";

export interface Line {
  label: string;
  /** A CSS colour, or a variable of ours. */
  color: string;
  values: (number | null)[];
  /** Whether the area under it is filled. */
  fill?: boolean;
}

export interface ChartProps {
  /** What it shows, for who cannot see it. */
  label: string;
  /** Seconds since 1970. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
  height?: number;
}

const Plot = lazy(() => import("./Plot"));

export function Chart(props: ChartProps) {
  // Colours are read when it is drawn: another scheme is another drawing.
  const scheme = useComputedColorScheme("light");
  return (
    <Suspense fallback={<Skeleton h={(props.height ?? 200) + 24} />}>
      <Plot {...props} key={scheme} />
    </Suspense>
  );
}
