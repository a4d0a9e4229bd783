import { Group } from "@mantine/core";
import { IconRefresh, IconRoute } from "@tabler/icons-react";
import { useQueryClient } from "@tanstack/react-query";
import { $api, api, pages } from "../../api/client";
import { useCan } from "../../api/session";
import { Confirm } from "../../components/Confirm";
import { CopyButton } from "../../components/CopyButton";
import { PagedTable } from "../../components/DataTable";
import { TextLink } from "../../components/links";
import { done } from "../../components/notify";
import { Section } from "../../components/Page";
import { SafeText } from "../../components/SafeText";
import { DeliveryStatus } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";

interface Props {
  appId: string;
  msgId: string;
  payload: string;
}

/** Where a message goes, and how it stands there. */
export function Deliveries({ appId, msgId, payload }: Props) {
  const resendable = useCan("CreateAttempts");
  const queries = useQueryClient();
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/app/{app_id}/msg/{msg_id}/endpoint",
    { params: { path: { app_id: appId, msg_id: msgId }, query: { limit: 50, expanded_statuses: true } } },
    { ...pages, refetchInterval: 3_000 },
  );
  const resend = async (endpointId: string) => {
    await api.POST("/api/v1/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", {
      params: { path: { app_id: appId, msg_id: msgId, endpoint_id: endpointId } },
    });
    done("Sent again");
    await queries.invalidateQueries({ predicate: ({ queryKey }) => String(queryKey[1]).includes("/msg/{msg_id}") });
  };
  return (
    <Section title="Deliveries" description="One for each endpoint that subscribed to it." flush>
      <PagedTable
        label="Deliveries"
        query={query}
        rowKey={(endpoint) => endpoint.id}
        columns={[
          {
            header: "Endpoint",
            cell: (endpoint) => (
              <TextLink className="hw-name" to="/app/$appId/endpoint/$endpointId" params={{ appId, endpointId: endpoint.id }}>
                <SafeText>{endpoint.url}</SafeText>
              </TextLink>
            ),
          },
          {
            header: "Status",
            cell: (endpoint) => (
              <>
                <DeliveryStatus status={endpoint.status} />
                {endpoint.nextAttempt && <span className="hw-sub">next try <Time at={endpoint.nextAttempt} due /></span>}
              </>
            ),
          },
          {
            header: "Actions",
            align: "right",
            cell: (endpoint) => (
              <Group gap={4} justify="flex-end" wrap="nowrap">
                <CopyButton value={curl(endpoint.url, msgId, payload)} label="Copy as curl, without a signature" />
                {resendable && (
                  <Confirm action="Resend" title="Send it again?" run={() => resend(endpoint.id)} icon={<IconRefresh size={14} />} button={{ size: "compact-xs" }}>
                    It is sent to <SafeText>{endpoint.url}</SafeText> once more, now. A receiver that took it already gets it twice, with the same id.
                  </Confirm>
                )}
              </Group>
            ),
          },
        ]}
        empty={<EmptyState title="It went nowhere" icon={<IconRoute size={22} />}>No endpoint had subscribed to this event type and these channels when it was sent.</EmptyState>}
      />
    </Section>
  );
}

/** The request but for its signature, which only the server can make. */
function curl(url: string, msgId: string, payload: string): string {
  const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const headers = ["content-type: application/json", `webhook-id: ${msgId}`];
  return ["curl -X POST", quote(url), ...headers.map((header) => `-H ${quote(header)}`), `--data-raw ${quote(payload)}`].join(" \\\n  ");
}
