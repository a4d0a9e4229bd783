import { Button, Group, Modal, PasswordInput, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { IconRefresh, IconShieldCheck, IconStethoscope } from "@tabler/icons-react";
import { useState } from "react";
import { $api, api, pages, type Schemas } from "../../api/client";
import { Confirm } from "../../components/Confirm";
import { PagedTable } from "../../components/DataTable";
import { done, failed } from "../../components/notify";
import { Section } from "../../components/Page";
import { Payload } from "../../components/Payload";
import { SafeText } from "../../components/SafeText";
import { StatusBadge } from "../../components/StatusBadge";
import { EmptyState } from "../../components/states";
import { Time } from "../../components/Time";
import { submitted } from "../../components/submitted";

type Log = Schemas["IngestLogOut"];

/** What was refused, and why. */
export function Rejected({ source }: { source: Schemas["IngestSourceOut"] }) {
  const query = $api.useInfiniteQuery(
    "get",
    "/ingest/api/v1/source/{source_id}/log",
    { params: { path: { source_id: source.id }, query: { limit: 25 } } },
    { ...pages, refetchInterval: 5_000 },
  );
  const replay = async (log: Log) => {
    await api.POST("/ingest/api/v1/source/{source_id}/log/{log_id}/replay", { params: { path: { source_id: source.id, log_id: log.id } } });
    done("It is genuine now, and was passed on");
  };
  return (
    <Section title="Rejected requests" description="Kept for a short time, so that a wrong secret loses nothing." flush>
      <PagedTable
        label="Rejected requests"
        query={query}
        rowKey={(log) => log.id}
        columns={[
          {
            header: "Request",
            cell: (log) => (
              <>
                <StatusBadge tone="bad">{String(log.status_code)}</StatusBadge>
                <span className="hw-sub"><SafeText>{log.error_text}</SafeText></span>
              </>
            ),
          },
          { header: "When", cell: (log) => <Time at={log.created_at} ago />, wide: true },
          {
            header: "Actions",
            align: "right",
            cell: (log) => (
              <Group gap={4} justify="flex-end" wrap="nowrap">
                <Examine source={source} log={log} />
                <Confirm action="Replay" title="Judge it again?" run={() => replay(log)} icon={<IconRefresh size={14} />} button={{ size: "compact-xs" }}>
                  It is judged by the source's present secrets. If it is genuine, it is stored and passed on.
                </Confirm>
              </Group>
            ),
          },
        ]}
        empty={<EmptyState title="Nothing was rejected" icon={<IconShieldCheck size={22} />}>Requests that are not genuine appear here, with the reason.</EmptyState>}
      />
    </Section>
  );
}

/** The request as it came, and what the doctor says of it. */
function Examine({ source, log }: { source: Schemas["IngestSourceOut"]; log: Log }) {
  const [opened, { open, close }] = useDisclosure();
  const [verdict, setVerdict] = useState<Schemas["ProviderVerifyOut"] | null>(null);
  const diagnose = async (form: FormData) => {
    const secret = String(form.get("secret"));
    try {
      // Objects of any content are described as empty ones.
      const { data } = await api.POST("/api/v1/provider/{provider_id}/verify", {
        params: { path: { provider_id: source.type } },
        body: {
          request: { method: log.method, url: log.url, headers: log.headers as Record<string, never>, bodyBase64: log.body_base64 },
          secrets: secret ? [secret] : [],
          at: log.created_at,
          config: source.config ?? {},
        },
      });
      setVerdict(data!);
    } catch (error) {
      failed(error);
    }
  };
  const headers = Object.entries(log.headers as Record<string, string>).map(([name, value]) => `${name}: ${value}`).join("\n");
  return (
    <>
      <Button size="compact-xs" variant="default" leftSection={<IconStethoscope size={14} />} onClick={open}>Examine</Button>
      <Modal opened={opened} onClose={close} title="Rejected request" size="xl" centered>
        <Stack>
          <Text size="sm"><SafeText>{log.error_text}</SafeText></Text>
          <form onSubmit={submitted(diagnose)}>
            <Group align="flex-end" gap="xs">
              <PasswordInput name="secret" label="Secret to try" description="Secrets are not shown again: paste the one that you believe to be right." autoComplete="off" style={{ flex: 1 }} />
              <Button type="submit" variant="default">Ask the doctor</Button>
            </Group>
          </form>
          {verdict && (
            <Stack gap={6} role="status">
              <StatusBadge tone={verdict.verdict === "genuine" ? "good" : "bad"}>
                {verdict.verdict === "genuine" ? "Genuine" : verdict.verdict === "needs_key" ? "It needs the provider's key" : "Not genuine"}
              </StatusBadge>
              {verdict.reason && <Text size="sm"><SafeText>{verdict.reason}</SafeText></Text>}
              {verdict.findings.map((finding) => <Text size="sm" key={finding.message}>• <SafeText>{finding.message}</SafeText></Text>)}
            </Stack>
          )}
          <Text size="sm" fw={560}>{log.method} <SafeText>{log.url}</SafeText></Text>
          <Payload label="Headers" text={headers} file={`${log.id}-headers.txt`} />
          <Payload label="Body" text={log.payload} file={`${log.id}-body.txt`} />
        </Stack>
      </Modal>
    </>
  );
}
