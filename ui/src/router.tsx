/** Every page has one line here. Console and portal have the same pages, at the same places. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { isPortal } from "./api/session";
import { readToken, currentToken } from "./api/session";
import { ErrorState } from "./components/states";
import { isRange, type Range } from "./components/TimeRange";
import { Shell } from "./shell/Shell";

const root = createRootRoute({ component: Shell, notFoundComponent: NoPage });

/** Search parameters that are texts; others are dropped. */
function texts<Name extends string>(...names: Name[]) {
  return (search: Record<string, unknown>): { [name in Name]?: string } => {
    const kept = names.filter((name) => typeof search[name] === "string" && search[name] !== "");
    return Object.fromEntries(kept.map((name) => [name, search[name]])) as { [name in Name]?: string };
  };
}

const range = (search: Record<string, unknown>): { range?: Range } => (isRange(search.range) ? { range: search.range } : {});

/** A portal has no overview of all applications: it begins at its own. */
function ownApplication() {
  const appId = isPortal ? readToken(currentToken() ?? "")?.appId : null;
  if (appId) throw redirect({ to: "/app/$appId", params: { appId } });
}

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", beforeLoad: ownApplication, validateSearch: range, component: lazyRouteComponent(() => import("./pages/Overview"), "Overview") }),
  createRoute({ getParentRoute: () => root, path: "/app", beforeLoad: ownApplication, component: lazyRouteComponent(() => import("./pages/Applications"), "Applications") }),
] as const;

export const router = createRouter({
  routeTree: root.addChildren(routes),
  basepath: isPortal ? "/portal" : "/console",
  defaultPreload: "intent",
  defaultErrorComponent: ({ error, reset }) => <ErrorState error={error} retry={reset} />,
  // Search parameters are plain text: a link is readable, and `1` stays a text.
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const pairs = Object.entries(search).filter(([, value]) => value !== undefined && value !== "");
    const text = new URLSearchParams(pairs.map(([key, value]) => [key, String(value)])).toString();
    return text ? `?${text}` : "";
  },
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

function NoPage() {
  return <ErrorState error={new Error("There is no such page.")} />;
}
