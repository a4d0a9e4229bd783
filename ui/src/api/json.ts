/**
 * JSON as text. `JSON.parse` would change numbers beyond 2^53 and the order of keys, and what is shown of
 * a payload must be what was sent.
 */

/** Strings, or one structural character, or a run of anything else but blanks. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gs;

/** The text of a member of an object, as it stands there. */
export function memberText(object: string, name: string): string | null {
  let depth = 0;
  let key: string | null = null;
  let start = -1;
  for (const match of object.matchAll(TOKEN)) {
    const token = match[0];
    if (start >= 0 && depth === 1 && (token === "," || token === "}")) return object.slice(start, match.index).trim();
    if (depth === 1 && start < 0) {
      if (token === ":") {
        if (key === name) start = match.index + 1;
      } else if (token === ",") key = null;
      else if (token.startsWith('"')) key ??= JSON.parse(token);
    }
    if (token === "{" || token === "[") depth += 1;
    if (token === "}" || token === "]") depth -= 1;
  }
  return null;
}

/** The same JSON, indented. Text that is not JSON comes back as it is. */
export function pretty(json: string): string {
  try {
    JSON.parse(json);
  } catch {
    return json;
  }
  let out = "";
  let indent = "\n";
  let opened = false;
  for (const [token] of json.matchAll(TOKEN)) {
    const closes = token === "}" || token === "]";
    if (closes) indent = indent.slice(0, -2);
    if (opened !== closes && (opened || closes)) out += indent;
    out += token;
    opened = token === "{" || token === "[";
    if (opened) indent += "  ";
    if (token === ",") out += indent;
    if (token === ":") out += " ";
  }
  return out;
}

/**
 * The body that a message's deliveries have, of the payload as the API answers it: what is no JSON object
 * stands there in `rawPayload`. `length` is its `content-length`, if it has one. `null` if it is neither of
 * both: blanks around an object are not answered, and bytes that are no text not as they are.
 */
export function sentBody(payload: string, length: string | undefined): string | null {
  const raw = rawPayload(payload);
  if (length === undefined) return raw === null ? payload : null;
  const is = (text: string) => new TextEncoder().encode(text).length === Number(length);
  if (is(payload)) return payload;
  return raw !== null && is(raw) && !raw.includes("\ufffd") ? raw : null;
}

function rawPayload(payload: string): string | null {
  const { rawPayload, ...others } = JSON.parse(payload) as Record<string, unknown>;
  return typeof rawPayload === "string" && Object.keys(others).length === 0 ? rawPayload : null;
}
