/** Long answers, read as they come. `EventSource` cannot send a token, so `fetch` does. */
import { authorized } from "./client";

type Query = Record<string, string | number | boolean | null | undefined>;

/** A path with the parameters that have a value. */
export function withQuery(path: string, query: Query): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
  return text ? `${path}?${text}` : path;
}

/** Calls `line` with each line until the answer ends or `signal` aborts it. */
export async function readLines(path: string, signal: AbortSignal, line: (text: string) => void) {
  const response = await authorized(path, { signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\n");
    rest = lines.pop() ?? "";
    for (const text of lines) line(text.replace(/\r$/, ""));
  }
  if (rest) line(rest);
}

/** Server-sent events: calls `event` with the name and the data of each. */
export function readEvents(path: string, signal: AbortSignal, event: (name: string, data: unknown) => void) {
  let name = "message";
  let data: string[] = [];
  return readLines(path, signal, (line) => {
    if (line === "") {
      if (data.length) event(name, JSON.parse(data.join("\n")));
      name = "message";
      data = [];
    } else if (line.startsWith("event:")) {
      name = line.slice(6).trim();
    } else if (line.startsWith("data:")) {
      data.push(line.slice(5).trimStart());
    }
  });
}
