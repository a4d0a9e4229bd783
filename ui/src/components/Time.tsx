import { Tooltip } from "@mantine/core";
import { useSyncExternalStore } from "react";
import { fullTime, relative, shortTime } from "../format";

// One clock for all times on a page, so that they agree.
let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void) {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 5_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** A time in the viewer's zone: exact, or from now (`ago`). */
export function Time({ at, ago = false }: { at: string | null | undefined; ago?: boolean }) {
  useSyncExternalStore(subscribe, () => now);
  if (!at) return <span>–</span>;
  return (
    <Tooltip label={fullTime(at)} openDelay={300}>
      <time dateTime={at} className="hw-time">{ago ? relative(at, Math.max(now, Date.now() - 5_000)) : shortTime(at)}</time>
    </Tooltip>
  );
}
