import { $api } from "./client";
import { useOperator } from "./session";

/** As often as rules are looked at. */
export const LOOKED_AT_MS = 15_000;

/** What is not over, for the operator of an organization. */
export function useOpenAlerts() {
  return $api.useQuery(
    "get",
    "/api/v1/alert",
    { params: { query: { open: true, limit: 100 } } },
    { enabled: useOperator(), refetchInterval: (query) => (query.state.error ? false : LOOKED_AT_MS) },
  );
}
