import { useEffect, useRef, useState } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { ChartProps } from "./Chart";

export default function Plot({ label, times, lines, format, height = 200 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  /** Where the pointer is, as an index of `times`. */
  const [at, setAt] = useState<number | null>(null);
  const shape = lines.map((line) => line.label + line.color).join();

  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(element);
    const color = (name: string) => (name.startsWith("--") ? style.getPropertyValue(name).trim() : name);
    const axis: UPlot.Axis = {
      stroke: color("--mantine-color-dimmed"),
      font: "11px system-ui",
      grid: { stroke: color("--mantine-color-default-border"), width: 1 },
      ticks: { show: false },
    };
    const made = new UPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        cursor: { y: false, points: { size: 7 } },
        scales: { y: { range: (_, __, max) => [0, Number.isFinite(max) && max > 0 ? max * 1.12 : 1] } },
        axes: [
          { ...axis, size: 28, space: 90, values: (_, ticks, __, ___, step) => ticks.map((tick) => tickText(tick, step)) },
          { ...axis, size: 56, space: 36, values: (_, ticks) => ticks.map(format) },
        ],
        series: [
          {},
          ...lines.map((line): UPlot.Series => ({
            label: line.label,
            stroke: color(line.color),
            width: 1.75,
            spanGaps: true,
            // One value makes no line.
            points: { show: (u, index) => [...u.data[index]!].filter((value) => value != null).length < 3, size: 6, fill: color(line.color) },
            ...(line.fill && { fill: `color-mix(in srgb, ${color(line.color)} 12%, transparent)` }),
          })),
        ],
        hooks: { setCursor: [(u) => setAt(u.cursor.idx ?? null)] },
      },
      [times, ...lines.map((line) => line.values)],
      element,
    );
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // New values are put into the drawing that is there.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, height]);

  useEffect(() => {
    plot.current?.setData([times, ...lines.map((line) => line.values)]);
  }, [times, lines]);

  const shown = at !== null && at < times.length ? at : null;
  return (
    <div>
      <div className="hw-legend">
        {lines.map((line) => (
          <span key={line.label} style={{ "--line": line.color.startsWith("--") ? `var(${line.color})` : line.color } as React.CSSProperties}>
            {line.label}
            {shown !== null && <b>{valueText(line.values[shown], format)}</b>}
          </span>
        ))}
        {shown !== null && <time>{new Date(times[shown]! * 1000).toLocaleString()}</time>}
      </div>
      <div ref={place} className="hw-plot" role="img" aria-label={`${label}. ${lines.map((line) => summary(line.label, line.values, format)).join(" ")}`} />
    </div>
  );
}

function valueText(value: number | null | undefined, format: (value: number) => string) {
  return value === null || value === undefined ? "–" : format(value);
}

function summary(label: string, values: (number | null)[], format: (value: number) => string) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return `${label}: no data.`;
  return `${label}: latest ${format(known.at(-1)!)}, most ${format(Math.max(...known))}.`;
}

function tickText(seconds: number, step: number) {
  const date = new Date(seconds * 1000);
  return step >= 86_400
    ? date.toLocaleDateString(undefined, { month: "short", day: "numeric" })
    : date.toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit" });
}
