import { Button, Group, NativeSelect, TextInput } from "@mantine/core";
import { IconBolt, IconPlayerPause, IconPlayerPlay } from "@tabler/icons-react";
import { getRouteApi } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";
import { ApiError, type Schemas } from "../api/client";
import { useOperator, useSession } from "../api/session";
import { readEvents, withQuery } from "../api/stream";
import { DataTable } from "../components/DataTable";
import { TextLink } from "../components/links";
import { Page } from "../components/Page";
import { SafeText } from "../components/SafeText";
import { AttemptStatus, StatusBadge } from "../components/StatusBadge";
import { EmptyState, ErrorState } from "../components/states";
import { Time } from "../components/Time";
import { count, duration } from "../format";
import { submitted } from "../components/submitted";

const route = getRouteApi("/live");

/** Older ones leave the page. */
const MOST = 200;
/** The page is drawn anew this often at most, however much comes. */
const DRAW_MS = 250;

type Row = { key: string } & ({ kind: "message"; at: Schemas["LiveMessageOut"] } | { kind: "attempt"; at: Schemas["LiveAttemptOut"] });

export function Live() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const operator = useOperator();
  const own = useSession()?.appId ?? undefined;
  const [paused, setPaused] = useState(false);
  const { rows, lost, error } = useLive({ ...search, app: own ?? search.app }, paused);
  const submit = (form: FormData) => {
    const text = (name: string) => String(form.get(name) ?? "").trim() || undefined;
    void navigate({ search: { app: text("app"), types: text("types"), kind: text("kind"), status: text("status") }, replace: true });
  };
  const toggle = () => setPaused(!paused);
  return (
    <Page
      title="Live tail"
      badge={error ? undefined : <StatusBadge tone={paused ? "quiet" : "good"}>{paused ? "Paused" : "Live"}</StatusBadge>}
      description="Messages and attempts as they happen. What passed before this page was open is not here."
      actions={
        <Button variant="default" size="xs" onClick={toggle} leftSection={paused ? <IconPlayerPlay size={15} /> : <IconPlayerPause size={15} />}>
          {paused ? "Resume" : "Pause"}
        </Button>
      }
    >
      <form onSubmit={submitted(submit)} className="hw-card hw-card-body" key={JSON.stringify(search)}>
        <div className="hw-filters">
          {operator && <TextInput name="app" label="Application" placeholder="app_…" size="xs" defaultValue={search.app} />}
          <TextInput name="types" label="Event types" placeholder="invoice.paid, user.created" size="xs" defaultValue={search.types} />
          <NativeSelect name="kind" label="Show" size="xs" defaultValue={search.kind} data={[{ value: "", label: "Messages and attempts" }, { value: "message", label: "Messages" }, { value: "attempt", label: "Attempts" }]} />
          <NativeSelect name="status" label="Attempts that" size="xs" defaultValue={search.status} data={[{ value: "", label: "Ended anyhow" }, { value: "success", label: "Succeeded" }, { value: "fail", label: "Failed" }]} />
          <Group align="flex-end"><Button type="submit" size="xs" variant="default">Filter</Button></Group>
        </div>
      </form>
      <div className="hw-card">
        {error ? <ErrorState error={error} /> : (
          <DataTable
            label="What happens"
            rows={rows}
            rowKey={(row) => row.key}
            columns={[
              { header: "What", cell: What, width: 130 },
              {
                header: "Event",
                cell: ({ kind, at }) => (
                  <>
                    <TextLink className="hw-name" to="/app/$appId/msg/$msgId" params={{ appId: at.appId, msgId: kind === "message" ? at.id : at.msgId }}>
                      <SafeText>{at.eventType}</SafeText>
                    </TextLink>
                    {operator && <span className="hw-sub"><SafeText>{at.appName}</SafeText></span>}
                  </>
                ),
              },
              { header: "Where", cell: ({ kind, at }) => kind === "message" ? `${at.endpoints} endpoint${at.endpoints === 1 ? "" : "s"}` : <SafeText>{at.url}</SafeText>, wide: true },
              { header: "Took", cell: (row) => row.kind === "attempt" ? duration(row.at.responseDurationMs) : "–", align: "right", wide: true },
              { header: "When", cell: ({ at }) => <Time at={at.timestamp} />, align: "right" },
            ]}
            empty={<EmptyState title="Waiting for something to happen" icon={<IconBolt size={22} />}>Messages and attempts appear here as soon as there are any.</EmptyState>}
          />
        )}
      </div>
      {lost > 0 && <div role="status">{count(lost)} were left out, because this page could not keep up.</div>}
    </Page>
  );
}

function What(row: Row) {
  return row.kind === "message"
    ? <StatusBadge tone="info">Message</StatusBadge>
    : <AttemptStatus status={row.at.status === "success" ? 0 : 2} code={row.at.responseStatusCode} />;
}

interface Filter {
  app?: string | undefined;
  types?: string | undefined;
  kind?: string | undefined;
  status?: string | undefined;
}

/** What came so far. While paused nothing is read, and it begins anew afterwards. */
function useLive({ app, types, kind, status }: Filter, paused: boolean) {
  const [rows, setRows] = useState<Row[]>([]);
  const [lost, setLost] = useState(0);
  const [error, setError] = useState<unknown>();
  const waiting = useRef<Row[]>([]);
  const serial = useRef(0);

  useEffect(() => {
    if (paused) return;
    setError(undefined);
    const abort = new AbortController();
    const path = withQuery("/api/v1/live", { appId: app, eventTypes: types?.replace(/\s/g, ""), kind, status });
    const timer = setInterval(() => {
      if (waiting.current.length === 0) return;
      const fresh = waiting.current.splice(0).reverse();
      setRows((before) => [...fresh, ...before].slice(0, MOST));
    }, DRAW_MS);
    const take = (name: string, data: unknown) => {
      const key = String(serial.current++);
      if (name === "message") waiting.current.push({ key, kind: "message", at: data as Schemas["LiveMessageOut"] });
      else if (name === "attempt") waiting.current.push({ key, kind: "attempt", at: data as Schemas["LiveAttemptOut"] });
      else if (name === "lost") setLost((before) => before + (data as Schemas["LiveLostOut"]).count);
      if (waiting.current.length > MOST) waiting.current.shift();
    };
    // A connection that ends is made anew, as `EventSource` would; one that is refused is not.
    const listen = () => {
      readEvents(path, abort.signal, take)
        .catch((error: unknown) => {
          if (error instanceof ApiError && error.status >= 400 && error.status < 500) throw error;
        })
        .then(() => { if (!abort.signal.aborted) setTimeout(listen, 1_000); })
        .catch((error: unknown) => { if (!abort.signal.aborted) setError(error); });
    };
    listen();
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [app, types, kind, status, paused]);

  return { rows, lost, error };
}
