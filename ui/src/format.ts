/** Values as people read them, in the viewer's zone and language. */

const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto", style: "short" });
const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1],
];

export function relative(time: string, now: number): string {
  const seconds = (Date.parse(time) - now) / 1000;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return RELATIVE.format(Math.trunc(seconds / size), unit);
}

const FULL = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, timeZoneName: "short",
});
const SHORT = new Intl.DateTimeFormat(undefined, {
  month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
});

export const fullTime = (time: string) => FULL.format(new Date(time));
export const shortTime = (time: string) => SHORT.format(new Date(time));

export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  if (ms > 0 && ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${ms < 10 ? Number(ms.toFixed(1)) : Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 3_600) {
    const rest = Math.floor(seconds % 60);
    return `${Math.floor(seconds / 60)} min${rest ? ` ${rest} s` : ""}`;
  }
  if (seconds < 172_800) return `${Number((seconds / 3_600).toFixed(1))} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

const COMPACT = new Intl.NumberFormat(undefined, { notation: "compact", maximumFractionDigits: 1 });
const PLAIN = new Intl.NumberFormat();

export const count = (value: number | null | undefined) =>
  value === null || value === undefined ? "–" : value < 100_000 ? PLAIN.format(value) : COMPACT.format(value);

/** Every digit, as a bill has it. */
export const exact = (value: number) => PLAIN.format(value);

export const percent = (share: number | null | undefined) =>
  share === null || share === undefined ? "–" : `${(share * 100).toFixed(share > 0.99 && share < 1 ? 2 : 1).replace(/\.0+$/, "")} %`;

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  return `${Number((value / 1024 ** step).toFixed(1))} ${units[step]}`;
}

/** What came of an attempt, in plain words. */
export function explain(code: number, response: string, ms: number): string {
  if (code >= 200 && code < 300) return `The receiver took it (${code}) after ${duration(ms)}.`;
  if (code === 0) return response ? `No answer: ${response}` : `There was no answer within ${duration(ms)}.`;
  return `The receiver answered ${code}: ${REASONS[code] ?? GROUPS[Math.floor(code / 100)] ?? "only 2xx counts as taken"}.`;
}

const REASONS: Record<number, string> = {
  400: "it did not understand the request",
  401: "it did not accept the request's credentials or signature",
  403: "it forbids the request; its firewall or its signature check may",
  404: "there is nothing at this URL",
  405: "nothing at this URL takes a POST",
  408: "it waited too long for the request",
  410: "the endpoint is gone for good, and is disabled unless the settings say otherwise",
  413: "the payload is too large for it",
  429: "it asks for fewer requests; the wait before the next try is longer",
  500: "it failed while it handled the request",
  502: "a proxy before it got no valid answer from it",
  503: "it is overloaded or down",
  504: "a proxy before it waited too long for it",
};

const GROUPS: Record<number, string> = {
  1: "that is not an answer to a webhook",
  3: "redirects are not followed; set the URL that it leads to",
  4: "it refused the request",
  5: "it failed while it handled the request",
};
