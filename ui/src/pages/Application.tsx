import { Button } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconActivity, IconListDetails, IconPlugConnected, IconPlus, IconTrash } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { $api, api, pages, type Schemas } from "../api/client";
import { useCan, useOperator } from "../api/session";
import { Chips } from "../components/Chips";
import { Confirm } from "../components/Confirm";
import { PagedTable, type Column } from "../components/DataTable";
import { EndpointForm } from "../components/EndpointForm";
import { Id } from "../components/Id";
import { ButtonLink, TextLink } from "../components/links";
import { Fact, Facts, Page, Section } from "../components/Page";
import { SafeText, visible } from "../components/SafeText";
import { StatusBadge } from "../components/StatusBadge";
import { EmptyState, ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { TrafficFigures } from "../components/Traffic";
import { EditApplication } from "./application/Edit";
import { PortalLink } from "./application/PortalLink";

const route = getRouteApi("/app/$appId");

export function Application() {
  const { appId } = route.useParams();
  const operator = useOperator();
  const navigate = route.useNavigate();
  const queries = useQueryClient();
  const params = { path: { app_id: appId } };
  const { data: app, error, refetch } = $api.useQuery("get", "/api/v1/app/{app_id}", { params });
  if (error) return <Page title="Application"><ErrorState error={error} retry={() => void refetch()} /></Page>;

  const remove = async () => {
    await api.DELETE("/api/v1/app/{app_id}", { params });
    await queries.invalidateQueries({ queryKey: ["get", "/api/v1/app"] });
    await navigate({ to: "/app" });
  };

  return (
    <Page
      title={operator ? visible(app?.name ?? "…") : "Endpoints"}
      {...(operator && { trail: [<TextLink key="apps" to="/app">Applications</TextLink>] })}
      description={operator ? <Id id={appId} /> : "Where your events are sent."}
      actions={operator && (
        <>
          <ButtonLink to="/app/$appId/msg" params={{ appId }} variant="default" size="xs" leftSection={<IconListDetails size={15} />}>Messages</ButtonLink>
          <ButtonLink to="/app/$appId/activity" params={{ appId }} variant="default" size="xs" leftSection={<IconActivity size={15} />}>Activity</ButtonLink>
          {app && <EditApplication app={app} />}
          <PortalLink appId={appId} />
          <Confirm action="Delete" title="Delete this application?" danger run={remove} icon={<IconTrash size={15} />}>
            Its endpoints go with it, and what is pending for them is never sent. This cannot be undone.
          </Confirm>
        </>
      )}
    >
      {operator && <div className="hw-figures"><TrafficFigures of={{ appId }} range="24h" /></div>}
      <Endpoints appId={appId} />
      {operator && app && <Details app={app} />}
    </Page>
  );
}

function Endpoints({ appId }: { appId: string }) {
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/app/{app_id}/endpoint",
    { params: { path: { app_id: appId }, query: { limit: 50, order: "descending" } } },
    pages,
  );
  const columns: Column<Schemas["EndpointOut"]>[] = [
    {
      header: "Endpoint",
      cell: (endpoint) => (
        <>
          <TextLink className="hw-name" to="/app/$appId/endpoint/$endpointId" params={{ appId, endpointId: endpoint.id }}>
            <SafeText>{endpoint.url}</SafeText>
          </TextLink>
          {endpoint.description && <span className="hw-sub"><SafeText>{endpoint.description}</SafeText></span>}
        </>
      ),
    },
    { header: "Event types", cell: (endpoint) => <Chips names={endpoint.eventTypes} all="All" />, wide: true },
    { header: "State", cell: (endpoint) => <StatusBadge tone={endpoint.disabled ? "quiet" : "good"}>{endpoint.disabled ? "Disabled" : "Enabled"}</StatusBadge> },
    { header: "Created", cell: (endpoint) => <Time at={endpoint.createdAt} ago />, align: "right", wide: true },
  ];
  return (
    <Section title={useOperator() ? "Endpoints" : "All endpoints"} flush actions={<Create appId={appId} />}>
      <PagedTable
        label="Endpoints"
        query={query}
        columns={columns}
        rowKey={(endpoint) => endpoint.id}
        empty={
          <EmptyState title="No endpoints yet" icon={<IconPlugConnected size={22} />}>
            An endpoint is a URL that events are posted to. Messages sent before there is one go nowhere.
          </EmptyState>
        }
      />
    </Section>
  );
}

function Create({ appId }: { appId: string }) {
  const [opened, { open, close }] = useDisclosure();
  const navigate = route.useNavigate();
  if (!useCan("ManageEndpoint")) return null;
  return (
    <>
      <Button size="xs" leftSection={<IconPlus size={15} />} onClick={open}>Add endpoint</Button>
      <EndpointForm
        title="Add endpoint"
        action="Add endpoint"
        opened={opened}
        onClose={close}
        save={async (body) => {
          const made = await api.POST("/api/v1/app/{app_id}/endpoint", { params: { path: { app_id: appId } }, body });
          await navigate({ to: "/app/$appId/endpoint/$endpointId", params: { appId, endpointId: made.data!.id } });
        }}
      />
    </>
  );
}

function Details({ app }: { app: Schemas["ApplicationOut"] }) {
  return (
    <Section title="Details">
      <Facts>
        <Fact name="Uid">{app.uid ? <SafeText>{app.uid}</SafeText> : "None"}</Fact>
        <Fact name="Rate limit">{app.throttleRate ? `${app.throttleRate} messages/s` : "None"}</Fact>
        <Fact name="Created"><Time at={app.createdAt} /></Fact>
        <Fact name="Changed"><Time at={app.updatedAt} /></Fact>
        {Object.entries(app.metadata).map(([key, value]) => <Fact key={key} name={visible(key)}><SafeText>{String(value)}</SafeText></Fact>)}
      </Facts>
    </Section>
  );
}
