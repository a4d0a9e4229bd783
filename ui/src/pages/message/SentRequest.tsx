import { Stack, Text } from "@mantine/core";
import { $api, type Schemas } from "../../api/client";
import { sentBody } from "../../api/json";
import { Payload } from "../../components/Payload";
import { SafeText } from "../../components/SafeText";
import { ErrorState } from "../../components/states";

interface Props {
  appId: string;
  attempt: Schemas["MessageAttemptOut"];
  /** The message's, as the API answers it. */
  payload: string;
}

/** What an attempt sent. The server calculates it when somebody looks. */
export function SentRequest({ appId, attempt, payload }: Props) {
  const { data, error, refetch } = $api.useQuery("get", "/api/v1/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/headers", {
    params: { path: { app_id: appId, msg_id: attempt.msgId, attempt_id: attempt.id } },
  });
  if (error) return <ErrorState error={error} retry={() => void refetch()} />;
  if (!data) return <Text size="sm" c="dimmed" aria-busy>Loading…</Text>;
  const sent = data.sentHeaders as Record<string, string>;
  const headers = [...Object.entries(sent), ...data.sensitive.map((name) => [name, "••••••"] as const)]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
  // What is not the body that was sent has no type here.
  const body = "content-type" in sent && sentBody(payload, sent["content-length"]);
  return (
    <Stack gap="xs">
      <Text size="sm" style={{ overflowWrap: "anywhere" }}>POST <SafeText>{attempt.url}</SafeText></Text>
      {data.unknown.length > 0 && (
        <div role="note">
          <Text size="sm">This is not known any more:</Text>
          {data.unknown.map((reason) => <Text size="sm" key={reason}>• {reason}</Text>)}
        </div>
      )}
      <Payload label="Request headers" text={headers} file={`${attempt.id}-headers.txt`} verbatim />
      {typeof body === "string" && <Payload label="Request body" text={body} file={`${attempt.id}-body.txt`} verbatim />}
      {body === null && (
        <>
          <Text size="sm" c="dimmed">The body is no text, or had blanks around it. This is how the API answers it.</Text>
          <Payload label="Request body" text={payload} file={`${attempt.id}-body.txt`} verbatim />
        </>
      )}
    </Stack>
  );
}
