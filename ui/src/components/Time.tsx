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

interface Props {
  at: string | null | undefined;
  /** As seen from now. */
  ago?: boolean;
  /** The same of something to come, which is due at any moment once the time is over. */
  due?: boolean;
}

/** A time in the viewer's zone. */
export function Time({ at, ago = false, due = false }: Props) {
  useSyncExternalStore(subscribe, () => now);
  if (!at) return <span>–</span>;
  // The page's clock may be a little behind what was just read.
  const present = Math.max(now, Date.now() - 5_000);
  if (due && Date.parse(at) <= present) return <span>at any moment</span>;
  return (
    <Tooltip label={fullTime(at)} openDelay={300}>
      <time dateTime={at} className="hw-time">{ago || due ? relative(at, present) : shortTime(at)}</time>
    </Tooltip>
  );
}
