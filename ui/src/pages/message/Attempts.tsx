import { Button, Center, Group, Text, UnstyledButton } from "@mantine/core";
import { IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";
import { $api, pages, type Schemas } from "../../api/client";
import { Id } from "../../components/Id";
import { Section } from "../../components/Page";
import { Payload } from "../../components/Payload";
import { SafeText } from "../../components/SafeText";
import { AttemptStatus } from "../../components/StatusBadge";
import { ErrorState } from "../../components/states";
import { Time } from "../../components/Time";
import { duration, explain } from "../../format";
import { SentRequest } from "./SentRequest";

interface Props {
  appId: string;
  msgId: string;
  payload: string;
}

/** All tries, newest first. */
export function Attempts({ appId, msgId, payload }: Props) {
  const query = $api.useInfiniteQuery(
    "get",
    "/api/v1/app/{app_id}/attempt/msg/{msg_id}",
    { params: { path: { app_id: appId, msg_id: msgId }, query: { limit: 50 } } },
    { ...pages, refetchInterval: 3_000 },
  );
  const attempts = query.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Section title="Attempts" description="Every try, the newest first.">
      {query.error ? <ErrorState error={query.error} retry={() => void query.refetch()} /> : attempts.length === 0 ? (
        <Text size="sm" c="dimmed">{query.isPending ? "Loading…" : "None yet."}</Text>
      ) : (
        <ol className="hw-timeline">
          {attempts.map((attempt) => <Attempt key={attempt.id} appId={appId} attempt={attempt} payload={payload} />)}
        </ol>
      )}
      {query.hasNextPage && (
        <Center mt="sm">
          <Button variant="default" size="xs" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>Load more</Button>
        </Center>
      )}
    </Section>
  );
}

interface AttemptProps {
  appId: string;
  attempt: Schemas["MessageAttemptOut"];
  payload: string;
}

function Attempt({ appId, attempt, payload }: AttemptProps) {
  const failed = attempt.status !== 0;
  const [open, setOpen] = useState(false);
  return (
    <li className={failed ? "hw-bad" : "hw-good"}>
      <UnstyledButton w="100%" onClick={() => setOpen(!open)} aria-expanded={open}>
        <Group justify="space-between" gap="xs" wrap="nowrap" align="flex-start">
          <AttemptStatus status={attempt.status} code={attempt.responseStatusCode} />
          <Group gap="xs" wrap="nowrap">
            <Text size="sm" c="dimmed" component="span"><Time at={attempt.timestamp} /></Text>
            <IconChevronDown size={16} style={{ rotate: open ? "180deg" : "0deg" }} aria-hidden />
          </Group>
        </Group>
        <Text size="sm" mt={6} style={{ overflowWrap: "anywhere" }}><SafeText>{attempt.url}</SafeText></Text>
        <Text size="sm" c="dimmed" mt={2}>
          <SafeText>{explain(attempt.responseStatusCode, attempt.response.slice(0, 300), attempt.responseDurationMs)}</SafeText>
          {attempt.triggerType === 1 && " Somebody asked for this try."}
        </Text>
      </UnstyledButton>
      {open && (
        <div style={{ marginTop: 10 }}>
          <Group gap="lg" mb="xs" fz="sm">
            <span>Took {duration(attempt.responseDurationMs)}</span>
            <Id id={attempt.id} />
          </Group>
          <Text component="h3" size="sm" fw={560} mb={6}>Request</Text>
          <SentRequest appId={appId} attempt={attempt} payload={payload} />
          <Text component="h3" size="sm" fw={560} mt="sm" mb={6}>Response</Text>
          {attempt.response ? <Payload label="Response" text={attempt.response} file={`${attempt.id}.txt`} /> : <Text size="sm" c="dimmed">The response had no body.</Text>}
        </div>
      )}
    </li>
  );
}
