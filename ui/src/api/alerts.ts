import { $api } from "./client";

/** As often as rules are looked at. */
export const LOOKED_AT_MS = 15_000;

/** What is not over. */
export function useOpenAlerts() {
  return $api.useQuery(
    "get",
    "/api/v1/alert",
    { params: { query: { open: true, limit: 100 } } },
    { refetchInterval: (query) => (query.state.error ? false : LOOKED_AT_MS) },
  );
}
