import { Button, Group, NativeSelect, TextInput } from "@mantine/core";
import { IconListDetails, IconSearch } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { useMemo } from "react";
import { $api, pages, type Schemas } from "../api/client";
import { useOperator } from "../api/session";
import { Chips } from "../components/Chips";
import { PagedTable, type Column } from "../components/DataTable";
import { TextLink } from "../components/links";
import { Page } from "../components/Page";
import { SafeText, visible } from "../components/SafeText";
import { EmptyState } from "../components/states";
import { Time } from "../components/Time";
import { isRange, RANGES, since, type Range } from "../components/TimeRange";
import { Found } from "./message/Found";
import { submitted } from "../components/submitted";

const route = getRouteApi("/app/$appId/msg");

const STATUSES = [
  { value: "", label: "Any status" }, { value: "0", label: "Delivered" }, { value: "1", label: "Pending" },
  { value: "2", label: "Failed" }, { value: "3", label: "Sending" }, { value: "4", label: "Cancelled" },
];

export function messageColumns(appId: string): Column<Schemas["MessageOut"]>[] {
  return [
    {
      header: "Message",
      cell: (message) => (
        <>
          <TextLink className="hw-name" to="/app/$appId/msg/$msgId" params={{ appId, msgId: message.id }}><SafeText>{message.eventType}</SafeText></TextLink>
          <span className="hw-sub hw-mono">{message.id}</span>
        </>
      ),
    },
    { header: "Event id", cell: (message) => message.eventId ? <span className="hw-mono"><SafeText>{message.eventId}</SafeText></span> : "–", wide: true },
    { header: "Channels and tags", cell: (message) => <Chips names={[...(message.channels ?? []), ...(message.tags ?? [])]} all="–" />, wide: true },
    { header: "When", cell: (message) => <Time at={message.timestamp} />, align: "right" },
  ];
}

export function Messages() {
  const { appId } = route.useParams();
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const operator = useOperator();
  const application = $api.useQuery("get", "/api/v1/app/{app_id}", { params: { path: { app_id: appId } } });
  const submit = (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim() || undefined;
    const id = text("id");
    if (id) return void navigate({ to: "/app/$appId/msg/$msgId", params: { appId, msgId: id } });
    const range = text("range");
    void navigate({
      search: {
        type: text("type"), channel: text("channel"), tag: text("tag"), text: text("text"), status: text("status"),
        ...(isRange(range) && { range }),
      },
    });
  };
  // What the list cannot filter by is looked for by reading through the messages.
  const scans = search.text !== undefined || search.status !== undefined;
  return (
    <Page
      title="Messages"
      trail={[
        ...(operator ? [<TextLink key="apps" to="/app">Applications</TextLink>] : []),
        <TextLink key="app" to="/app/$appId" params={{ appId }}>{visible(operator ? (application.data?.name ?? appId) : "Endpoints")}</TextLink>,
      ]}
    >
      <form onSubmit={submitted(submit)} key={JSON.stringify(search)} className="hw-card hw-card-body" role="search" aria-label="Messages">
        <div className="hw-filters">
          <TextInput name="id" label="Id or event id" placeholder="msg_…" size="xs" spellCheck={false} />
          <TextInput name="type" label="Event type" placeholder="invoice.paid" size="xs" defaultValue={search.type} />
          <TextInput name="channel" label="Channel" size="xs" defaultValue={search.channel} />
          <TextInput name="tag" label="Tag" size="xs" defaultValue={search.tag} />
          <TextInput name="text" label="Text in the payload" size="xs" maxLength={256} defaultValue={search.text} />
          <NativeSelect name="status" label="Status" data={STATUSES} size="xs" defaultValue={search.status} />
          <NativeSelect name="range" label="Sent in the last" data={[{ value: "", label: "Any time" }, ...RANGES]} size="xs" defaultValue={search.range} />
        </div>
        <Group justify="flex-end" gap="xs" mt="sm">
          <Button variant="subtle" size="xs" onClick={() => void navigate({ search: {} })}>Clear</Button>
          <Button type="submit" size="xs" leftSection={<IconSearch size={15} />}>Search</Button>
        </Group>
      </form>
      <div className="hw-card">
        {scans ? <Found key={JSON.stringify(search)} appId={appId} search={search} /> : <List appId={appId} search={search} />}
      </div>
    </Page>
  );
}

export interface Search {
  type?: string | undefined;
  channel?: string | undefined;
  tag?: string | undefined;
  text?: string | undefined;
  status?: string | undefined;
  range?: Range | undefined;
}

function List({ appId, search }: { appId: string; search: Search }) {
  const after = useMemo(() => (search.range ? since(search.range) : undefined), [search.range]);
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/app/{app_id}/msg",
    {
      params: {
        path: { app_id: appId },
        query: {
          limit: 50, with_content: false,
          ...(after && { after }),
          ...(search.type && { event_types: [search.type] }),
          ...(search.channel && { channel: search.channel }),
          ...(search.tag && { tag: search.tag }),
        },
      },
    },
    pages,
  );
  const filtered = Object.values(search).some(Boolean);
  return (
    <PagedTable
      label="Messages"
      query={query}
      columns={messageColumns(appId)}
      rowKey={(message) => message.id}
      empty={
        <EmptyState title={filtered ? "No message is like that" : "No messages yet"} icon={<IconListDetails size={22} />}>
          {filtered ? "Choose a longer time, or fewer filters." : "Messages appear here as soon as one is sent to this application."}
        </EmptyState>
      }
    />
  );
}
