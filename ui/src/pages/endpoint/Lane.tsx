import { $api, type Schemas } from "../../api/client";
import { Fact, Facts, Section } from "../../components/Page";
import { StatusBadge, type Tone } from "../../components/StatusBadge";
import { Time } from "../../components/Time";

const BREAKERS: Record<Schemas["BreakerState"], [Tone, string]> = {
  closed: ["good", "Closed"],
  half_open: ["warn", "Probing"],
  open: ["bad", "Open"],
};

/** How it is being sent to, as of now. */
export function Lane({ appId, endpointId }: { appId: string; endpointId: string }) {
  const { data, error } = $api.useQuery(
    "get",
    "/api/v1/app/{app_id}/endpoint/{endpoint_id}/state",
    { params: { path: { app_id: appId, endpoint_id: endpointId } } },
    { refetchInterval: (query) => (query.state.error ? false : 2_000) },
  );
  if (error || !data) return null;
  const [tone, word] = BREAKERS[data.breaker ?? "closed"];
  return (
    <Section title="Right now">
      {data.here ? (
        <Facts>
          <Fact name="Circuit breaker"><StatusBadge tone={tone}>{word}</StatusBadge></Fact>
          {data.heldUntil && <Fact name="Held until"><Time at={data.heldUntil} ago /></Fact>}
          <Fact name="Under way">{data.window == null ? data.inFlight : `${data.inFlight} of ${data.window} at most`}</Fact>
          <Fact name="Waiting">{data.queued}{data.cold && ", and more in the store"}</Fact>
          {data.throttled && <Fact name="Rate limit"><StatusBadge tone="warn">Reached</StatusBadge></Fact>}
        </Facts>
      ) : "Another node sends to this endpoint; its state is not known here."}
    </Section>
  );
}
