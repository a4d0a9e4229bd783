import { getRouteApi } from "@tanstack/react-router";
import { LOOKED_AT_MS } from "../api/alerts";
import { $api, type Schemas } from "../api/client";
import { DataTable } from "../components/DataTable";
import { Id } from "../components/Id";
import { TextLink } from "../components/links";
import { Fact, Facts, Page, Section } from "../components/Page";
import { SafeText, visible } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { EmptyState, ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { noticeText } from "./alerts/channels";
import { AlertState } from "./alerts/Fired";

const route = getRouteApi("/alerts/$alertId");

/** What a notice links to. */
export function Alert() {
  const { alertId } = route.useParams();
  const { data: alert, error, refetch } = $api.useQuery(
    "get",
    "/api/v1/alert/{alert_id}",
    { params: { path: { alert_id: alertId } } },
    { refetchInterval: (query) => (query.state.error || query.state.data?.clearedAt ? false : LOOKED_AT_MS) },
  );
  const trail = [<TextLink key="alerts" to="/alerts">Alerts</TextLink>];
  if (error) return <Page title="Alert" trail={trail}><ErrorState error={error} retry={() => void refetch()} /></Page>;
  return (
    <Page title={visible(alert?.ruleName ?? "…")} badge={alert && <AlertState alert={alert} />} trail={trail} description={<Id id={alertId} />}>
      {alert && (
        <Section title="What was found">
          <p className="hw-lead"><SafeText>{alert.text}</SafeText></p>
          <Facts>
            <Fact name="So since"><Time at={alert.since} /></Fact>
            <Fact name="Fired"><Time at={alert.firedAt} /></Fact>
            <Fact name="Over">{alert.clearedAt ? <Time at={alert.clearedAt} /> : "Not yet"}</Fact>
            <About alert={alert} />
            <Fact name="Rule"><TextLink to="/alerts" search={{ tab: "rules" }}>See the rules</TextLink></Fact>
          </Facts>
        </Section>
      )}
      <Section title="Who was told" flush>
        <DataTable
          label="Notices"
          rows={alert?.notices}
          rowKey={(notice) => String(alert!.notices.indexOf(notice))}
          columns={[
            { header: "Channel", cell: (notice) => <SafeText>{noticeText(notice)}</SafeText> },
            { header: "Of", cell: (notice) => notice.event === "alert.fired" ? "The alert" : "Its end" },
            { header: "State", cell: (notice) => <NoticeState notice={notice} /> },
          ]}
          empty={<EmptyState title="Nobody was told">Its rule has no channels.</EmptyState>}
        />
      </Section>
    </Page>
  );
}

function About({ alert: { appId, endpointId, condition } }: { alert: Schemas["AlertOut"] }) {
  // A source is an application whose ids differ by what they begin with.
  const sourceId = appId?.replace(/^app_/, "src_") ?? "";
  const source = $api.useQuery(
    "get",
    "/ingest/api/v1/source/{source_id}",
    { params: { path: { source_id: sourceId } } },
    { enabled: condition === "nothing_received", retry: false },
  );
  if (!appId) return <Fact name="About">All of the organization</Fact>;
  if (source.isLoading) return null;
  if (condition === "source_rejecting" || source.data) {
    return <Fact name="Source"><TextLink to="/source/$sourceId" params={{ sourceId }}>{sourceId}</TextLink></Fact>;
  }
  return (
    <>
      <Fact name="Application"><TextLink to="/app/$appId" params={{ appId }}>{appId}</TextLink></Fact>
      {endpointId && <Fact name="Endpoint"><TextLink to="/app/$appId/endpoint/$endpointId" params={{ appId, endpointId }}>{endpointId}</TextLink></Fact>}
    </>
  );
}

function NoticeState({ notice }: { notice: Schemas["AlertNoticeOut"] }) {
  if (notice.sentAt) return <><StatusBadge tone="good">Sent</StatusBadge><span className="hw-sub"><Time at={notice.sentAt} /></span></>;
  return (
    <>
      <StatusBadge tone={notice.tries > 0 ? "bad" : "info"}>{notice.tries > 0 ? "Not sent" : "Waiting"}</StatusBadge>
      {notice.error && <span className="hw-sub"><SafeText>{notice.error}</SafeText></span>}
      {notice.nextTryAt && <span className="hw-sub">tried again <Time at={notice.nextTryAt} due /></span>}
    </>
  );
}
