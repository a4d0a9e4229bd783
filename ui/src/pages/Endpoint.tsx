import { Button, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconPencil, IconPlayerPause, IconPlayerPlay, IconTrash } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { $api, api, type Schemas } from "../api/client";
import { useCan, useOperator } from "../api/session";
import { Chips } from "../components/Chips";
import { Confirm } from "../components/Confirm";
import { EndpointForm } from "../components/EndpointForm";
import { Id } from "../components/Id";
import { TextLink } from "../components/links";
import { done } from "../components/notify";
import { Fact, Facts, Page, Section } from "../components/Page";
import { SafeText, visible } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { TimeRange } from "../components/TimeRange";
import { TrafficCharts } from "../components/Traffic";
import { Attempts } from "./endpoint/Attempts";
import { Headers } from "./endpoint/Headers";
import { Health } from "./endpoint/Health";
import { Lane } from "./endpoint/Lane";
import { Replay, Running } from "./endpoint/Replay";
import { Secret } from "./endpoint/Secret";
import { SendExample } from "./endpoint/SendExample";

const route = getRouteApi("/app/$appId/endpoint/$endpointId");

export function Endpoint() {
  const { appId, endpointId } = route.useParams();
  const { range = "24h", task } = route.useSearch();
  const navigate = route.useNavigate();
  const operator = useOperator();
  const params = { path: { app_id: appId, endpoint_id: endpointId } };
  const { data: endpoint, error, refetch } = $api.useQuery("get", "/api/v1/app/{app_id}/endpoint/{endpoint_id}", { params });
  const application = $api.useQuery("get", "/api/v1/app/{app_id}", { params: { path: { app_id: appId } } });
  const setTask = (task: string | undefined) => void navigate({ search: (now) => ({ ...now, task }), replace: true });
  const back = visible(operator ? (application.data?.name ?? appId) : "Endpoints");
  const trail = [
    ...(operator ? [<TextLink key="apps" to="/app">Applications</TextLink>] : []),
    <TextLink key="app" to="/app/$appId" params={{ appId }}>{back}</TextLink>,
  ];
  if (error) return <Page title="Endpoint" trail={trail}><ErrorState error={error} retry={() => void refetch()} /></Page>;
  return (
    <Page
      title={visible(endpoint?.url ?? "…")}
      badge={endpoint && <StatusBadge tone={endpoint.disabled ? "quiet" : "good"}>{endpoint.disabled ? "Disabled" : "Enabled"}</StatusBadge>}
      trail={trail}
      description={endpoint?.description ? <SafeText>{endpoint.description}</SafeText> : undefined}
      actions={endpoint && <Actions appId={appId} endpoint={endpoint} onTask={setTask} />}
    >
      {task && <Running id={task} dismiss={() => setTask(undefined)} />}
      <Health appId={appId} endpointId={endpointId} />
      <div className="hw-aside">
        <Stack gap="lg" miw={0}>
          <Attempts appId={appId} endpointId={endpointId} />
          <Stack gap="sm">
            <div><TimeRange value={range} onChange={(range) => void navigate({ search: (now) => ({ ...now, range }), replace: true })} /></div>
            <TrafficCharts of={{ appId, endpointId }} range={range} />
          </Stack>
        </Stack>
        <Stack gap="lg" miw={0}>
          {endpoint && <Settings endpoint={endpoint} />}
          <Lane appId={appId} endpointId={endpointId} />
          <Secret appId={appId} endpointId={endpointId} />
          <Headers appId={appId} endpointId={endpointId} />
        </Stack>
      </div>
    </Page>
  );
}

interface ActionsProps {
  appId: string;
  endpoint: Schemas["EndpointOut"];
  onTask: (task: string) => void;
}

function Actions({ appId, endpoint, onTask }: ActionsProps) {
  const [editing, { open, close }] = useDisclosure();
  const queries = useQueryClient();
  const navigate = route.useNavigate();
  const manage = useCan("ManageEndpoint");
  const params = { path: { app_id: appId, endpoint_id: endpoint.id } };
  const refresh = () => queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[1]).includes("/endpoint") });
  const patch = async (body: Schemas["EndpointPatch"]) => {
    await api.PATCH("/api/v1/app/{app_id}/endpoint/{endpoint_id}", { params, body });
    await refresh();
  };
  const remove = async () => {
    await api.DELETE("/api/v1/app/{app_id}/endpoint/{endpoint_id}", { params });
    await navigate({ to: "/app/$appId", params: { appId } });
    await refresh();
  };
  return (
    <>
      <SendExample appId={appId} endpoint={endpoint} />
      <Replay appId={appId} endpointId={endpoint.id} onStarted={onTask} />
      {manage && (
        <>
          <Button variant="default" size="xs" leftSection={<IconPencil size={15} />} onClick={open}>Edit</Button>
          <EndpointForm title="Edit endpoint" action="Save" opened={editing} onClose={close} from={endpoint} save={async (fields) => { await patch(fields); done("Saved"); }} />
          {endpoint.disabled ? (
            <Confirm action="Enable" title="Enable this endpoint?" run={() => patch({ disabled: false })} icon={<IconPlayerPlay size={15} />}>
              Messages are sent to it again, and what was pending when it was disabled goes on.
            </Confirm>
          ) : (
            <Confirm action="Disable" title="Disable this endpoint?" run={() => patch({ disabled: true })} icon={<IconPlayerPause size={15} />}>
              Nothing is sent to it until you enable it. New messages are not kept for it; what is pending stays.
            </Confirm>
          )}
          <Confirm action="Delete" title="Delete this endpoint?" danger run={remove} icon={<IconTrash size={15} />}>
            What is pending for it is never sent. This cannot be undone.
          </Confirm>
        </>
      )}
    </>
  );
}

function Settings({ endpoint }: { endpoint: Schemas["EndpointOut"] }) {
  return (
    <Section title="Settings">
      <Facts>
        <Fact name="Event types"><Chips names={endpoint.eventTypes} all="All" /></Fact>
        <Fact name="Channels"><Chips names={endpoint.channels} all="All" /></Fact>
        <Fact name="Rate limit">{endpoint.throttleRate ? `${endpoint.throttleRate} requests/s` : "None"}</Fact>
        <Fact name="Retry schedule">{endpoint.retrySchedule?.join(", ") ?? "The server's"}</Fact>
        {endpoint.uid && <Fact name="Uid"><SafeText>{endpoint.uid}</SafeText></Fact>}
        <Fact name="Id"><Id id={endpoint.id} /></Fact>
        <Fact name="Created"><Time at={endpoint.createdAt} /></Fact>
      </Facts>
    </Section>
  );
}
