import { $api } from "../../api/client";
import { Figure } from "../../components/Page";
import { count, percent } from "../../format";

/** How its deliveries of the last day stand. */
export function Health({ appId, endpointId }: { appId: string; endpointId: string }) {
  const { data } = $api.useQuery(
    "get",
    "/api/v1/app/{app_id}/endpoint/{endpoint_id}/stats",
    { params: { path: { app_id: appId, endpoint_id: endpointId } } },
    { refetchInterval: 5_000 },
  );
  const ended = data ? data.success + data.fail : 0;
  const rate = ended ? data!.success / ended : null;
  return (
    <div className="hw-figures">
      <Figure name="Delivered" value={count(data?.success)} note="messages" />
      <Figure name="Failed" value={count(data?.fail)} note="messages, after their last try" {...(data?.fail && { tone: "bad" as const })} />
      <Figure name="Pending" value={count(data ? data.pending + data.sending : null)} note="messages" />
      <Figure name="Arrived" value={percent(rate)} note="of what ended" {...(rate !== null && rate < 0.95 && { tone: "bad" as const })} />
    </div>
  );
}
