import { useState } from "react";
import { $api } from "../../api/client";
import { Figure } from "../../components/Page";
import { since } from "../../components/TimeRange";
import { count, percent } from "../../format";

/** Attempts of the last day by how they ended, and what is still to be done. */
export function Health({ appId, endpointId }: { appId: string; endpointId: string }) {
  const [from] = useState(() => since("24h"));
  const { data } = $api.useQuery(
    "get",
    "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    { params: { path: { app_id: appId, endpoint_id: endpointId }, query: { since: from } } },
    { refetchInterval: 5_000 },
  );
  const ended = data ? data.success + data.fail : 0;
  const rate = ended ? data!.success / ended : null;
  return (
    <div className="hw-figures">
      <Figure name="Succeeded" value={count(data?.success)} note="attempts in 24 hours" />
      <Figure name="Failed" value={count(data?.fail)} note="attempts in 24 hours" {...(data?.fail && { tone: "bad" as const })} />
      <Figure name="Pending" value={count(data ? data.pending + data.sending : null)} note="deliveries" />
      <Figure name="Success rate" value={percent(rate)} note="of attempts in 24 hours" {...(rate !== null && rate < 0.95 && { tone: "bad" as const })} />
    </div>
  );
}
