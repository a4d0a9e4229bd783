import { useQuery } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { IconCircleCheck } from "@tabler/icons-react";
import { useOpenAlerts } from "../api/alerts";
import { analytics } from "../api/analytics";
import { $api } from "../api/client";
import { DataTable } from "../components/DataTable";
import { TextLink } from "../components/links";
import { Figure, Page, Section } from "../components/Page";
import { SafeText } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { EmptyState, ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { since, TimeRange, type Range } from "../components/TimeRange";
import { TrafficCharts, TrafficFigures } from "../components/Traffic";
import { count, percent } from "../format";

const route = getRouteApi("/");

/** Live: asked for again every five seconds, unless it failed. */
const LIVE = { refetchInterval: (query: { state: { error: unknown } }) => (query.state.error ? (false as const) : 5_000) };

export function Overview() {
  const { range = "24h" } = route.useSearch();
  const navigate = route.useNavigate();
  const backlog = $api.useQuery("get", "/api/v1/analytics/backlog", { params: { query: { limit: 1 } } }, LIVE);
  return (
    <Page
      title="Overview"
      description="What your organization sent, and how it arrived."
      actions={<TimeRange value={range} onChange={(range) => void navigate({ search: { range }, replace: true })} />}
    >
      <OpenAlerts />
      <div className="hw-figures">
        <TrafficFigures of={{}} range={range} />
        <Figure
          name="Backlog"
          value={count(backlog.data?.pending)}
          note={backlog.data?.oldestDue ? <>oldest due <Time at={backlog.data.oldestDue} ago /></> : "deliveries pending"}
        />
      </div>
      <Failing />
      <TrafficCharts of={{}} range={range} />
      <Tenants range={range} />
    </Page>
  );
}

function OpenAlerts() {
  const { data } = useOpenAlerts();
  const first = data?.data[0];
  if (!first) return null;
  const more = data.data.length - 1;
  return (
    <div className="hw-note hw-bad" role="status">
      <TextLink to="/alerts" fw={600} c="var(--hw-bad)">{more > 0 ? `${more + 1}${data.done ? "" : "+"} alerts are open` : "An alert is open"}</TextLink>
      {" · "}<SafeText>{first.ruleName}</SafeText>{more > 0 && " and more"}
    </div>
  );
}

function Failing() {
  const query = $api.useQuery("get", "/api/v1/analytics/failing-endpoints", { params: { query: { limit: 10 } } }, LIVE);
  return (
    <Section title="Failing endpoints" description="Nothing has succeeded at these since the time shown; the longest first." flush>
      {query.error ? <ErrorState error={query.error} retry={() => void query.refetch()} /> : (
        <DataTable
          label="Failing endpoints"
          rows={query.data?.data}
          rowKey={(row) => row.endpointId}
          columns={[
            {
              header: "Endpoint",
              cell: (row) => (
                <>
                  <TextLink className="hw-name" to="/app/$appId/endpoint/$endpointId" params={{ appId: row.appId, endpointId: row.endpointId }}>
                    <SafeText>{row.url}</SafeText>
                  </TextLink>
                  {row.description && <span className="hw-sub"><SafeText>{row.description}</SafeText></span>}
                </>
              ),
            },
            { header: "Application", cell: (row) => <SafeText>{row.appName}</SafeText> },
            { header: "State", cell: (row) => row.disabled ? <StatusBadge tone="quiet">Disabled</StatusBadge> : <StatusBadge tone="bad">Failing</StatusBadge>, wide: true },
            { header: "Since", cell: (row) => <Time at={row.failingSince} ago />, align: "right" },
          ]}
          empty={<EmptyState title="No endpoint is failing" icon={<IconCircleCheck size={22} />} />}
        />
      )}
    </Section>
  );
}

function Tenants({ range }: { range: Range }) {
  const query = useQuery({
    queryKey: ["tenants", range],
    queryFn: ({ signal }) => analytics({
      measures: "messages,attempts,successRate", dimensions: "app", orderBy: "attempts", limit: 10, since: since(range),
    }, signal),
    placeholderData: (before) => before,
    ...LIVE,
  });
  const most = Math.max(1, ...(query.data?.rows.map((row) => row.attempts ?? 0) ?? []));
  return (
    <Section title="Busiest applications" description="by attempts" flush>
      {query.error ? <ErrorState error={query.error} retry={() => void query.refetch()} /> : (
        <DataTable
          label="Busiest applications"
          rows={query.data?.rows}
          rowKey={(row) => row.appId ?? ""}
          columns={[
            {
              header: "Application",
              cell: (row) => <TextLink className="hw-name" to="/app/$appId" params={{ appId: row.appId ?? "" }}><SafeText>{row.appName ?? row.appId ?? ""}</SafeText></TextLink>,
            },
            { header: "Share", width: "30%", wide: true, cell: (row) => <div className="hw-bar" aria-hidden><span style={{ width: `${((row.attempts ?? 0) / most) * 100}%` }} /></div> },
            { header: "Messages", cell: (row) => count(row.messages), align: "right" },
            { header: "Attempts", cell: (row) => count(row.attempts), align: "right", wide: true },
            { header: "Success", cell: (row) => percent(row.successRate), align: "right" },
          ]}
          empty={<EmptyState title="Nothing was sent in this time">Choose a longer time, or send a message.</EmptyState>}
        />
      )}
    </Section>
  );
}
