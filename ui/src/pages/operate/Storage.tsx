import { $api } from "../../api/client";
import { Fact, Facts, Figure, Section } from "../../components/Page";
import { ErrorState } from "../../components/states";
import { StatusBadge } from "../../components/StatusBadge";
import { Time } from "../../components/Time";
import { bytes, count, duration } from "../../format";

export function Storage() {
  const { data, error, refetch } = $api.useQuery("get", "/api/v1/operate/store", {}, {
    refetchInterval: (query) => (query.state.error ? false : 5_000),
  });
  if (error) return <div className="hw-card"><ErrorState error={error} retry={() => void refetch()} /></div>;
  return (
    <>
      <div className="hw-figures" style={{ marginBottom: 18 }}>
        <Figure name="Size" value={bytes(data?.bytes)} note={data ? (data.kind === "sqlite" ? "in files of this node" : "in PostgreSQL") : undefined} />
        <Figure name="Pending deliveries" value={count(data?.pending)} note={data?.oldestDue ? <>oldest due <Time at={data.oldestDue} ago /></> : undefined} />
        <Figure name="Waiting to be written" value={count(data?.queued)} />
      </div>
      {data && (
        <Section title="Details">
          <Facts>
            <Fact name="Room">{data.full ? <StatusBadge tone="bad">Full: new messages are refused</StatusBadge> : <StatusBadge tone="good">Enough</StatusBadge>}</Fact>
            <Fact name="Payloads are kept for">{duration(data.retention.payloadSecs * 1000)}</Fact>
            <Fact name="History is kept for">{duration(data.retention.historySecs * 1000)}</Fact>
            <Fact name="Log, not yet folded in">{bytes(data.walBytes)}</Fact>
            <Fact name="Work found that nobody had scheduled">{count(data.unscheduled)}</Fact>
          </Facts>
        </Section>
      )}
    </>
  );
}
