/** Who is signed in: one token, read from the address once or pasted. */
import { useSyncExternalStore } from "react";

export type Capability =
  | "ViewBase"
  | "ViewEndpointSecret"
  | "ManageEndpointSecret"
  | "CreateAttempts"
  | "ManageEndpoint";

export interface Session {
  token: string;
  /** The only application that the token is good for; none: all of an organization. */
  appId: string | null;
  capabilities: Capability[] | null;
  /** In milliseconds since 1970. */
  expiresAt: number;
}

export const isPortal = /^\/portal(\/|$)/.test(location.pathname);

/** The console survives a reload of its tab by this; a portal's token is in memory only. */
const KEEP = "hookwright.token";

let session: Session | null = null;
let ended: string | null = null;
const listeners = new Set<() => void>();

function changed(next: Session | null, why: string | null) {
  session = next;
  ended = why;
  if (!isPortal) {
    if (next) sessionStorage.setItem(KEEP, next.token);
    else sessionStorage.removeItem(KEEP);
  }
  for (const listener of listeners) listener();
}

/** What a token says. The server judges it; this only decides what is worth showing. */
export function readToken(token: string): Session | null {
  try {
    const part = token.split(".")[1] ?? "";
    const bytes = Uint8Array.from(atob(part.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims.sub !== "string" || typeof claims.exp !== "number") return null;
    return {
      token,
      appId: claims.org ? claims.sub : null,
      capabilities: Array.isArray(claims.capabilities) ? claims.capabilities : null,
      expiresAt: claims.exp * 1000,
    };
  } catch {
    return null;
  }
}

/** Signs in; false if that is no token. */
export function signIn(token: string): boolean {
  const read = readToken(token.trim());
  if (read) changed(read, null);
  return read !== null;
}

export function signOut(why: string | null = null) {
  if (session || why) changed(null, why);
}

/** Takes the token out of the address, or out of what the tab kept. */
export function start() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = isPortal ? tokenOfKey(fragment.get("key")) : fragment.get("token");
  if (fragment.has("key") || fragment.has("token")) {
    history.replaceState(null, "", location.pathname + location.search);
  }
  if (token && !signIn(token)) changed(null, "This link holds no valid token.");
  if (!token && !isPortal) {
    const kept = sessionStorage.getItem(KEEP);
    if (kept) signIn(kept);
  }
}

/** A portal's key: base64 of JSON, as `app-portal-access` makes it. */
function tokenOfKey(key: string | null): string | null {
  if (!key) return null;
  try {
    return String(JSON.parse(atob(key)).token);
  } catch {
    return "";
  }
}

export function currentToken(): string | null {
  return session?.token ?? null;
}

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useSession(): Session | null {
  return useSyncExternalStore(subscribe, () => session);
}

/** Why nobody is signed in any more. */
export function useEnded(): string | null {
  return useSyncExternalStore(subscribe, () => ended);
}

/** Whether the token allows something. */
export function useCan(capability: Capability): boolean {
  const now = useSession();
  if (!now) return false;
  return now.capabilities === null || implies(now.capabilities, capability);
}

function implies(held: Capability[], wanted: Capability): boolean {
  if (held.includes(wanted) || wanted === "ViewBase") return true;
  if (wanted === "ViewEndpointSecret") return held.includes("ManageEndpointSecret") || held.includes("ManageEndpoint");
  return wanted === "ManageEndpointSecret" && held.includes("ManageEndpoint");
}

/** Whether the operator is signed in. */
export function useOperator(): boolean {
  return useSession()?.appId === null;
}
