/** Every page has one line here. Console and portal have the same pages, at the same places. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { currentToken, isPortal, readToken } from "./api/session";
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

const endpointSearch = (search: Record<string, unknown>) => ({ ...texts("task")(search), ...range(search) });
const messageSearch = (search: Record<string, unknown>) => ({
  ...texts("type", "channel", "tag", "text", "status")(search),
  ...range(search),
});

/** A portal has no overview of all applications: it begins at its own. */
function ownApplication() {
  const appId = isPortal ? readToken(currentToken() ?? "")?.appId : null;
  if (appId) throw redirect({ to: "/app/$appId", params: { appId } });
}

const under = { getParentRoute: () => root };

const routes = [
  createRoute({ ...under, path: "/", component: lazyRouteComponent(() => import("./pages/Overview"), "Overview"), beforeLoad: ownApplication, validateSearch: range }),
  createRoute({ ...under, path: "/app", component: lazyRouteComponent(() => import("./pages/Applications"), "Applications"), beforeLoad: ownApplication }),
  createRoute({ ...under, path: "/app/$appId", component: lazyRouteComponent(() => import("./pages/Application"), "Application") }),
  createRoute({ ...under, path: "/app/$appId/activity", component: lazyRouteComponent(() => import("./pages/Activity"), "Activity"), validateSearch: range }),
  createRoute({ ...under, path: "/app/$appId/endpoint/$endpointId", component: lazyRouteComponent(() => import("./pages/Endpoint"), "Endpoint"), validateSearch: endpointSearch }),
  createRoute({ ...under, path: "/app/$appId/msg", component: lazyRouteComponent(() => import("./pages/Messages"), "Messages"), validateSearch: messageSearch }),
  createRoute({ ...under, path: "/app/$appId/msg/$msgId", component: lazyRouteComponent(() => import("./pages/Message"), "Message") }),
  createRoute({ ...under, path: "/live", component: lazyRouteComponent(() => import("./pages/Live"), "Live"), validateSearch: texts("app", "types", "kind", "status") }),
  createRoute({ ...under, path: "/event-type", component: lazyRouteComponent(() => import("./pages/EventTypes"), "EventTypes"), validateSearch: texts("archived") }),
  createRoute({ ...under, path: "/event-type/$name", component: lazyRouteComponent(() => import("./pages/EventType"), "EventType") }),
  createRoute({ ...under, path: "/source", component: lazyRouteComponent(() => import("./pages/Sources"), "Sources") }),
  createRoute({ ...under, path: "/source/$sourceId", component: lazyRouteComponent(() => import("./pages/Source"), "Source") }),
  createRoute({ ...under, path: "/alerts", component: lazyRouteComponent(() => import("./pages/Alerts"), "Alerts"), beforeLoad: ownApplication, validateSearch: texts("tab") }),
  createRoute({ ...under, path: "/alerts/$alertId", component: lazyRouteComponent(() => import("./pages/Alert"), "Alert"), beforeLoad: ownApplication }),
  createRoute({ ...under, path: "/usage", component: lazyRouteComponent(() => import("./pages/Usage"), "Usage"), beforeLoad: ownApplication, validateSearch: texts("month") }),
  createRoute({ ...under, path: "/operate", component: lazyRouteComponent(() => import("./pages/Operate"), "Operate"), validateSearch: texts("tab") }),
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
