import { SegmentedControl } from "@mantine/core";
import { IconSend } from "@tabler/icons-react";
import { useState } from "react";
import { $api, pages, type Schemas } from "../../api/client";
import { PagedTable, type Column } from "../../components/DataTable";
import { TextLink } from "../../components/links";
import { Section } from "../../components/Page";
import { SafeText } from "../../components/SafeText";
import { AttemptStatus } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { duration } from "../../format";

type Status = "all" | "success" | "fail";

/** What was sent here, newest first. */
export function Attempts({ appId, endpointId }: { appId: string; endpointId: string }) {
  const [status, setStatus] = useState<Status>("all");
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/app/{app_id}/attempt/endpoint/{endpoint_id}",
    {
      params: {
        path: { app_id: appId, endpoint_id: endpointId },
        query: {
          limit: 25, with_msg: true, with_content: false,
          ...(status !== "all" && { status: status === "success" ? (0 as const) : (2 as const) }),
        },
      },
    },
    { ...pages, refetchInterval: 5_000 },
  );
  const columns: Column<Schemas["MessageAttemptOut"]>[] = [
    { header: "Answer", cell: (attempt) => <AttemptStatus status={attempt.status} code={attempt.responseStatusCode} />, width: 120 },
    {
      header: "Message",
      cell: (attempt) => (
        <>
          <TextLink className="hw-name" to="/app/$appId/msg/$msgId" params={{ appId, msgId: attempt.msgId }}>
            <SafeText>{attempt.msg?.eventType ?? attempt.msgId}</SafeText>
          </TextLink>
          <span className="hw-sub hw-mono">{attempt.msgId}</span>
        </>
      ),
    },
    { header: "Took", cell: (attempt) => duration(attempt.responseDurationMs), align: "right", wide: true },
    { header: "When", cell: (attempt) => <Time at={attempt.timestamp} ago />, align: "right" },
  ];
  return (
    <Section
      title="Attempts"
      flush
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Which attempts"
          data={[{ value: "all", label: "All" }, { value: "success", label: "Succeeded" }, { value: "fail", label: "Failed" }]}
          value={status}
          onChange={(value) => setStatus(value as Status)}
        />
      }
    >
      <PagedTable
        label="Attempts"
        query={query}
        columns={columns}
        rowKey={(attempt) => attempt.id}
        empty={
          <EmptyState title={status === "all" ? "Nothing was sent here yet" : "None"} icon={<IconSend size={22} />}>
            {status === "all" && "Attempts appear as soon as a message of its event types is sent."}
          </EmptyState>
        }
      />
    </Section>
  );
}
